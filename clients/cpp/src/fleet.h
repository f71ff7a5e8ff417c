#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "failure.h"
#include "flags.h"

/// What a call was answered, its trailers' names, and the refusals that were retried before, first one first.
template <class Response>
struct Reply {
  Response message;
  std::vector<std::string> trailers;
  std::vector<Failure> refusals;
};

/// What one call asks for beyond its request; `model` is empty where none is named.
struct Asked {
  std::string model{};
  std::optional<std::chrono::microseconds> timeout{};
  bool retried = true;
  std::optional<std::chrono::milliseconds> cancel_after{};
};

/// One channel to the fleet for every call: keepalive, message size, deadlines, the model's header and retries.
/// Thread-safe; made once and kept.
class Fleet {
 public:
  using Done = std::function<void(grpc::Status)>;
  template <class Response>
  using Start = std::function<void(grpc::ClientContext*, Response*, Done)>;

  /// Connects with the first call. Throws std::invalid_argument where the PEM file is none.
  explicit Fleet(const Flags& flags);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  /// Asks again while the fleet says so and the deadline allows. `start` calls a stub's async() method.
  /// Throws Failure.
  template <class Response>
  Reply<Response> call(const Asked& asked, const Start<Response>& start) const {
    const auto deadline = std::chrono::system_clock::now() + asked.timeout.value_or(timeout_);
    std::vector<Failure> refusals;
    for (;;) {
      Reply<Response> reply;
      grpc::ClientContext context;
      context.set_deadline(deadline);
      const auto status = finish(context, asked, [&](Done done) { start(&context, &reply.message, std::move(done)); });
      if (status.ok()) {
        reply.trailers = trailer_names(context);
        reply.refusals = std::move(refusals);
        return reply;
      }
      refusals.emplace_back(status);
      std::this_thread::sleep_for(pause(refusals.back(), asked, deadline));
    }
  }

 private:
  /// Starts the call and waits for its end, which `asked` may bring about early.
  static grpc::Status finish(grpc::ClientContext& context, const Asked& asked, const std::function<void(Done)>& start);

  /// How long to wait before the next attempt. Throws `failure` where there is none.
  static std::chrono::nanoseconds pause(const Failure& failure, const Asked& asked,
                                        std::chrono::system_clock::time_point deadline);

  static std::vector<std::string> trailer_names(const grpc::ClientContext& context);

  std::shared_ptr<grpc::Channel> channel_;
  std::chrono::microseconds timeout_;
};
