#include "steps.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <future>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace v1 = argosy::v1;

namespace {

constexpr int kCallsAtOnce = 16;
constexpr int kEdge = 28;
// Tensors are little-endian on the wire, and are copied here as they are.
static_assert(std::endian::native == std::endian::little);

std::string decimals(double value, int count) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", count, value);
  return text;
}

std::string joined(const std::vector<std::string>& words, const std::string& between = " ") {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : between) + word;
  }
  return text;
}

std::string text_of(const v1::Category& category) { return category.label() + " " + decimals(category.score(), 3); }

std::string text_of(const v1::RowPrediction& row) {
  std::vector<std::string> answer;
  for (const auto& quantity : row.quantities()) {
    answer.push_back(quantity.name() + " " + decimals(quantity.value(), 1));
  }
  if (row.categories_size() > 0) {
    answer.push_back(text_of(row.categories(0)));
  }
  if (row.imputed_columns_size() > 0) {
    std::vector<std::string> names(row.imputed_columns().begin(), row.imputed_columns().end());
    std::sort(names.begin(), names.end());
    answer.push_back("(imputed " + joined(names) + ")");
  }
  return joined(answer);
}

/// A reply has one result an input; one that has not is the server's fault, and must not be read past its end.
template <class Items>
const auto& at(const Items& items, int index) {
  if (index >= static_cast<int>(items.size())) {
    throw Failure(grpc::Status(grpc::StatusCode::INTERNAL, "the reply lacks a result"));
  }
  return items[index];
}

std::string drawn_one() {
  std::vector<float> pixels(kEdge * kEdge, 0.0F);
  for (int row = 4; row < 24; ++row) {
    std::fill_n(pixels.begin() + row * kEdge + 13, 2, 1.0F);
  }
  return {reinterpret_cast<const char*>(pixels.data()), pixels.size() * sizeof(float)};
}

double dot(const v1::Embedding& left, const v1::Embedding& right) {
  return std::inner_product(left.values().begin(), left.values().end(), right.values().begin(), 0.0, std::plus<>(),
                            [](double x, double y) { return x * y; });
}

Failure expected(const Failure& failure, grpc::StatusCode code) {
  if (failure.code() != code) {
    throw failure;
  }
  return failure;
}

}  // namespace

Steps::Steps(const Flags& flags, const Fleet& fleet)
    : flags_(flags),
      fleet_(fleet),
      samples_(flags.samples),
      vision_(v1::VisionService::NewStub(fleet.channel())),
      text_(v1::TextService::NewStub(fleet.channel())),
      tabular_(v1::TabularService::NewStub(fleet.channel())),
      tensors_(inference::GRPCInferenceService::NewStub(fleet.channel())),
      health_(grpc::health::v1::Health::NewStub(fleet.channel())) {}

Steps::Lines Steps::image() const {
  const auto reply = classify({samples_.seven()});
  std::vector<std::string> names;
  std::copy_if(reply.trailers.begin(), reply.trailers.end(), std::back_inserter(names),
               [](const std::string& name) { return name.starts_with("argosy-"); });
  std::sort(names.begin(), names.end());
  return {"image: " + text_of(at(at(reply.message.results(), 0).categories(), 0)), "trailers: " + joined(names)};
}

Steps::Lines Steps::embedding() const {
  const auto texts = flags_.cancel_after ? many_sentences() : samples_.sentences();
  const auto reply = embed(texts, {.cancel_after = flags_.cancel_after}).message;
  const auto& first = at(reply.results(), 0).embedding();
  const auto& second = at(reply.results(), 1).embedding();
  const double cosine = dot(first, second) / std::sqrt(dot(first, first) * dot(second, second));
  return {"embedding: " + std::to_string(first.values_size()) + " values, cosine " + decimals(cosine, 3)};
}

Steps::Lines Steps::table() const {
  Lines lines = predict("diabetes");
  const Lines income = predict("income");
  lines.insert(lines.end(), income.begin(), income.end());
  return lines;
}

Steps::Lines Steps::tensor() const {
  inference::ModelInferRequest request;
  request.set_model_name(flags_.model);
  auto* image = request.add_inputs();
  image->set_name("image");
  image->set_datatype("FP32");
  for (const int size : {1, kEdge, kEdge, 1}) {
    image->add_shape(size);
  }
  request.add_raw_input_contents(drawn_one());
  const auto reply =
      fleet_.call<inference::ModelInferResponse>({.model = flags_.model}, [&](auto* context, auto* answer, auto done) {
        tensors_->async()->ModelInfer(context, &request, answer, std::move(done));
      });
  const auto& output = at(reply.message.outputs(), 0);
  const std::string& raw = at(reply.message.raw_output_contents(), 0);
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
  const auto likeliest = std::max_element(values.begin(), values.end()) - values.begin();
  std::vector<std::string> shape;
  std::transform(output.shape().begin(), output.shape().end(), std::back_inserter(shape),
                 [](std::int64_t size) { return std::to_string(size); });
  return {"tensor: " + output.name() + " " + output.datatype() + " [" + joined(shape, ", ") + "], likeliest " +
          std::to_string(likeliest) + " " + decimals(at(values, likeliest), 3)};
}

Steps::Lines Steps::deadline() const try {
  embed(many_sentences(), {.timeout = std::chrono::milliseconds(5), .retried = false});
  return {"deadline: OK"};
} catch (const Failure& failure) {
  return {"deadline: " + expected(failure, grpc::StatusCode::DEADLINE_EXCEEDED).status()};
}

Steps::Lines Steps::wrong_input() const try {
  classify({"not an image"});
  return {"wrong-input: OK"};
} catch (const Failure& failure) {
  return {"wrong-input: " + expected(failure, grpc::StatusCode::INVALID_ARGUMENT).summary()};
}

/// More than the queue takes, at once. A call counts as unanswered if it was refused to the end.
Steps::Lines Steps::refusal() const {
  const std::vector<std::string> images(300, samples_.seven());
  std::vector<std::future<Reply<v1::VisionServiceClassifyResponse>>> calls;
  for (int call = 0; call < kCallsAtOnce; ++call) {
    calls.push_back(std::async(std::launch::async, [&] { return classify(images); }));
  }
  int answered = 0;
  std::vector<Failure> refusals;
  for (auto& call : calls) {
    try {
      const auto reply = call.get();
      refusals.insert(refusals.end(), reply.refusals.begin(), reply.refusals.end());
      ++answered;
    } catch (const Failure& failure) {
      if (!failure.retry_delay()) {
        throw;
      }
    }
  }
  const auto first = refusals.empty() ? "OK" : refusals.front().status_and_reason();
  return {"refusal: " + first + ", " + std::to_string(answered) + " of " + std::to_string(kCallsAtOnce) +
          " answered after retries"};
}

Steps::Lines Steps::health() const {
  return {"health: fleet " + health_of("") + ", " + flags_.model + " " + health_of(flags_.model)};
}

Reply<v1::VisionServiceClassifyResponse> Steps::classify(const std::vector<std::string>& images) const {
  v1::VisionServiceClassifyRequest request;
  request.set_model(flags_.model);
  request.mutable_images()->Assign(images.begin(), images.end());
  request.set_top_k(1);
  return fleet_.call<v1::VisionServiceClassifyResponse>(
      {.model = flags_.model}, [&](auto* context, auto* answer, auto done) {
        vision_->async()->Classify(context, &request, answer, std::move(done));
      });
}

Reply<v1::TextServiceEmbedResponse> Steps::embed(const std::vector<std::string>& texts, Asked asked) const {
  asked.model = "minilm";
  v1::TextServiceEmbedRequest request;
  request.set_model(asked.model);
  request.mutable_texts()->Assign(texts.begin(), texts.end());
  return fleet_.call<v1::TextServiceEmbedResponse>(asked, [&](auto* context, auto* answer, auto done) {
    text_->async()->Embed(context, &request, answer, std::move(done));
  });
}

Steps::Lines Steps::predict(const std::string& model) const {
  const auto rows = samples_.rows(model);
  v1::TabularServicePredictRequest request;
  request.set_model(model);
  request.mutable_rows()->Assign(rows.begin(), rows.end());
  const auto reply =
      fleet_.call<v1::TabularServicePredictResponse>({.model = model}, [&](auto* context, auto* answer, auto done) {
        tabular_->async()->Predict(context, &request, answer, std::move(done));
      });
  Lines lines;
  for (const auto& row : reply.message.results()) {
    lines.push_back("table: " + model + " row " + std::to_string(lines.size() + 1) + ": " + text_of(row));
  }
  return lines;
}

std::string Steps::health_of(const std::string& service) const {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  using Response = grpc::health::v1::HealthCheckResponse;
  const auto reply = fleet_.call<Response>({}, [&](auto* context, auto* answer, auto done) {
    health_->async()->Check(context, &request, answer, std::move(done));
  });
  return Response::ServingStatus_Name(reply.message.status());
}

std::vector<std::string> Steps::many_sentences() const {
  const auto sentences = samples_.sentences();
  std::vector<std::string> many;
  for (int time = 0; time < 100; ++time) {
    many.insert(many.end(), sentences.begin(), sentences.end());
  }
  return many;
}
