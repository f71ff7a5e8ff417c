#include "failure.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <algorithm>
#include <array>

namespace {

// gRPC has the names of its codes to itself.
constexpr std::array kNames = {
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

bool is_refusal(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

}  // namespace

Failure::Failure(const grpc::Status& status) : std::runtime_error(status.error_message()), code_(status.error_code()) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) {
    return;
  }
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  for (const auto& detail : details.details()) {
    if (detail.UnpackTo(&info)) {
      reason_ = info.reason();
      const auto field = info.metadata().find("field");
      field_ = field == info.metadata().end() ? "" : field->second;
    } else if (detail.UnpackTo(&retry) && is_refusal(code_)) {
      const auto& delay = retry.retry_delay();
      retry_delay_ = std::chrono::seconds(delay.seconds()) + std::chrono::nanoseconds(delay.nanos());
    }
  }
}

std::string Failure::status() const {
  return std::size_t(code_) < kNames.size() ? kNames[code_] : std::to_string(code_);
}

std::string Failure::status_and_reason() const { return reason_.empty() ? status() : status() + " " + reason_; }

std::string Failure::summary() const {
  return field_.empty() ? status_and_reason() : status_and_reason() + " field=" + field_;
}

std::string Failure::line() const {
  std::string message = what();
  std::replace_if(message.begin(), message.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return message.empty() ? summary() : summary() + ": " + message;
}
