#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

/// What the flags ask for; `only` is empty for every step.
struct Flags {
  std::string address = "127.0.0.1:8500";
  std::filesystem::path samples = "clients/samples";
  std::optional<std::filesystem::path> tls_ca;
  std::chrono::microseconds timeout = std::chrono::seconds(10);
  std::string only;
  std::string model = "digits";
  int max_message_bytes = 64 << 20;
  std::optional<std::chrono::milliseconds> cancel_after;
};

/// Throws std::invalid_argument, which says which flag is wrong.
Flags parse_flags(int argc, char** argv);
