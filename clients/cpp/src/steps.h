#pragma once

#include <argosy/v1/tabular.grpc.pb.h>
#include <argosy/v1/text.grpc.pb.h>
#include <argosy/v1/vision.grpc.pb.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <inference/grpc_service.grpc.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "flags.h"
#include "fleet.h"
#include "samples.h"

/// The eight things of clients/README.md. Each answers the lines that all languages print alike, and throws Failure.
class Steps {
 public:
  using Lines = std::vector<std::string>;

  Steps(const Flags& flags, const Fleet& fleet);

  Lines image() const;
  Lines embedding() const;
  Lines table() const;
  Lines tensor() const;
  Lines deadline() const;
  Lines wrong_input() const;
  Lines refusal() const;
  Lines health() const;

 private:
  Reply<argosy::v1::VisionServiceClassifyResponse> classify(const std::vector<std::string>& images) const;
  Reply<argosy::v1::TextServiceEmbedResponse> embed(const std::vector<std::string>& texts, Asked asked) const;
  Lines predict(const std::string& model) const;
  std::string health_of(const std::string& service) const;
  std::vector<std::string> many_sentences() const;

  const Flags& flags_;
  const Fleet& fleet_;
  Samples samples_;
  std::unique_ptr<argosy::v1::VisionService::Stub> vision_;
  std::unique_ptr<argosy::v1::TextService::Stub> text_;
  std::unique_ptr<argosy::v1::TabularService::Stub> tabular_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> tensors_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};
