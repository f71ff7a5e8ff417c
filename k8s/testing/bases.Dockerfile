# The bases that ../Dockerfile names, made of Debian's own packages where no registry of images can be asked. The context
# is the tree that debootstrap makes: the same Debian, and its Python, which is of the same minor version.
FROM scratch AS python
COPY . /
RUN ln -s python3 /usr/bin/python
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# `toolchain` is this machine's Rust.
FROM python AS rust
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY --from=toolchain bin /usr/local/cargo/bin
COPY --from=toolchain lib /usr/local/cargo/lib
ENV PATH=/usr/local/cargo/bin:$PATH CARGO_HOME=/usr/local/cargo
