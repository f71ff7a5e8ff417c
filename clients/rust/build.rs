//! Generates the stubs from the repository's protos with `protoc`, found on PATH or at `PROTOC`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos =
        ["argosy/v1/vision.proto", "argosy/v1/text.proto", "argosy/v1/tabular.proto", "inference/grpc_service.proto"];
    tonic_prost_build::configure()
        .build_server(false)
        .compile_protos(&protos.map(|name| format!("../../protos/{name}")), &["../../protos".to_owned()])?;
    Ok(())
}
