// The program: flags in, the steps' lines out; exit code 1 for a call that failed, 2 for a flag or a sample.

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"
#include "flags.h"
#include "fleet.h"
#include "steps.h"

namespace {

using Step = Steps::Lines (Steps::*)() const;

const std::vector<std::pair<std::string, Step>> kSteps = {
    {"image", &Steps::image},       {"embedding", &Steps::embedding},     {"table", &Steps::table},
    {"tensor", &Steps::tensor},     {"deadline", &Steps::deadline},       {"wrong-input", &Steps::wrong_input},
    {"refusal", &Steps::refusal},   {"health", &Steps::health},
};

void run(const Flags& flags) {
  const Fleet fleet(flags);
  const Steps steps(flags, fleet);
  bool found = false;
  for (const auto& [name, step] : kSteps) {
    if (!flags.only.empty() && flags.only != name) {
      continue;
    }
    found = true;
    for (const std::string& line : (steps.*step)()) {
      std::cout << line << std::endl;
    }
  }
  if (!found) {
    throw std::invalid_argument("--only " + flags.only + ": no such step");
  }
}

}  // namespace

int main(int argc, char** argv) {
  // What gRPC logs of a call is in that call's error too. Whoever sets it sees the log.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  try {
    run(parse_flags(argc, argv));
    return 0;
  } catch (const Failure& failure) {
    std::cerr << "error: " << failure.line() << '\n';
    return 1;
  } catch (const std::invalid_argument& wrong) {
    std::cerr << "error: " << wrong.what() << '\n';
    return 2;
  }
}
