#include "samples.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

std::vector<google::protobuf::Struct> Samples::rows(const std::string& model) const {
  std::vector<google::protobuf::Struct> rows;
  for (const std::string& line : lines(model + ".jsonl")) {
    if (!google::protobuf::util::JsonStringToMessage(line, &rows.emplace_back()).ok()) {
      throw std::invalid_argument(model + ".jsonl: not a JSON object a line");
    }
  }
  return rows;
}

std::string Samples::bytes(const std::string& name) const {
  std::ifstream file(folder_ / name, std::ios::binary);
  if (!file) {
    throw std::invalid_argument((folder_ / name).string() + ": cannot be read");
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> Samples::lines(const std::string& name) const {
  std::istringstream text(bytes(name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    lines.push_back(line);
  }
  return lines;
}
