#pragma once

#include <google/protobuf/struct.pb.h>

#include <filesystem>
#include <string>
#include <vector>

/// The inputs on disk. Each throws std::invalid_argument where the file cannot be read: the flag's folder is wrong.
class Samples {
 public:
  explicit Samples(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::string seven() const { return bytes("seven.png"); }
  std::vector<std::string> sentences() const { return lines("sentences.txt"); }

  /// One row a line of MODEL.jsonl, column name to value.
  std::vector<google::protobuf::Struct> rows(const std::string& model) const;

 private:
  std::string bytes(const std::string& name) const;
  std::vector<std::string> lines(const std::string& name) const;

  std::filesystem::path folder_;
};
