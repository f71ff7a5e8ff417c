#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

/// A call that failed, with what the fleet says of it beyond the status. Reason and field may be empty.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const grpc::Status& status);

  grpc::StatusCode code() const { return code_; }

  /// When the fleet wants to be asked again; empty where it must not be.
  std::optional<std::chrono::nanoseconds> retry_delay() const { return retry_delay_; }

  /// `DEADLINE_EXCEEDED`.
  std::string status() const;

  /// `STATUS REASON`, or the status alone.
  std::string status_and_reason() const;

  /// `STATUS REASON field=FIELD`, of which the last two may be missing.
  std::string summary() const;

  /// What the program ends with, in one line.
  std::string line() const;

 private:
  grpc::StatusCode code_;
  std::string reason_;
  std::string field_;
  std::optional<std::chrono::nanoseconds> retry_delay_;
};
