#include "fleet.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <fstream>
#include <future>
#include <iterator>
#include <stdexcept>

namespace {

constexpr int kKeepaliveMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 2'000;

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("localhost:") || address.starts_with("[::1]:");
}

std::shared_ptr<grpc::ChannelCredentials> credentials(const Flags& flags) {
  if (!flags.tls_ca) {
    return grpc::InsecureChannelCredentials();
  }
  std::ifstream file(*flags.tls_ca, std::ios::binary);
  const std::string pem{std::istreambuf_iterator<char>(file), {}};
  // Looked for here: without it every call would fail, and with words that name no file.
  if (pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    throw std::invalid_argument("--tls-ca " + flags.tls_ca->string() + ": no certificates in PEM");
  }
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = pem;
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments arguments(const Flags& flags) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetMaxReceiveMessageSize(flags.max_message_bytes);
  arguments.SetMaxSendMessageSize(flags.max_message_bytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, is_loopback(flags.address) ? 0 : 1);
  return arguments;
}

}  // namespace

Fleet::Fleet(const Flags& flags)
    : channel_(grpc::CreateCustomChannel(flags.address, credentials(flags), arguments(flags))),
      timeout_(flags.timeout) {}

grpc::Status Fleet::finish(grpc::ClientContext& context, const Asked& asked, const std::function<void(Done)>& start) {
  if (!asked.model.empty()) {
    context.AddMetadata("argosy-model", asked.model);
    context.AddMetadata("argosy-version", "");
  }
  // Shared, for this side may be gone before set_value has returned on the other.
  const auto done = std::make_shared<std::promise<grpc::Status>>();
  std::future<grpc::Status> status = done->get_future();
  start([done](grpc::Status ended) { done->set_value(std::move(ended)); });
  if (asked.cancel_after && status.wait_for(*asked.cancel_after) == std::future_status::timeout) {
    context.TryCancel();
  }
  return status.get();
}

std::chrono::nanoseconds Fleet::pause(const Failure& failure, const Asked& asked,
                                      std::chrono::system_clock::time_point deadline) {
  const auto delay = failure.retry_delay();
  if (!asked.retried || !delay || std::chrono::system_clock::now() + *delay >= deadline) {
    throw failure;
  }
  return *delay;
}

std::vector<std::string> Fleet::trailer_names(const grpc::ClientContext& context) {
  std::vector<std::string> names;
  for (const auto& [name, value] : context.GetServerTrailingMetadata()) {
    names.emplace_back(name.data(), name.size());
  }
  return names;
}
