#include "flags.h"

#include <getopt.h>

#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace {

constexpr std::array<option, 9> kFlags{{
    {"address", required_argument, nullptr, 'a'},
    {"samples", required_argument, nullptr, 's'},
    {"tls-ca", required_argument, nullptr, 'c'},
    {"timeout-s", required_argument, nullptr, 't'},
    {"only", required_argument, nullptr, 'o'},
    {"model", required_argument, nullptr, 'm'},
    {"max-message-bytes", required_argument, nullptr, 'b'},
    {"cancel-after-ms", required_argument, nullptr, 'x'},
    {nullptr, 0, nullptr, 0},
}};

/// The whole of `text` as a number of [least, most].
template <class Number>
Number number(std::string_view text, Number least, Number most) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  // Written so that it is false for a NaN too.
  if (!whole || !(value >= least && value <= most)) {
    throw std::invalid_argument("not a number that the flag takes: " + std::string(text));
  }
  return value;
}

void take(Flags& flags, int flag, const char* value) {
  constexpr int kMost = std::numeric_limits<int>::max();
  switch (flag) {
    case 'a': flags.address = value; break;
    case 's': flags.samples = value; break;
    case 'c': flags.tls_ca = value; break;
    case 't': flags.timeout = std::chrono::microseconds(std::int64_t(number(value, 1e-6, 1e9) * 1e6)); break;
    case 'o': flags.only = value; break;
    case 'm': flags.model = value; break;
    case 'b': flags.max_message_bytes = number(value, 0, kMost); break;
    case 'x': flags.cancel_after = std::chrono::milliseconds(number(value, 0, kMost)); break;
  }
}

}  // namespace

Flags parse_flags(int argc, char** argv) {
  Flags flags;
  opterr = 0;
  for (;;) {
    const int flag = getopt_long(argc, argv, ":", kFlags.data(), nullptr);
    if (flag == -1) {
      break;
    }
    if (flag == '?' || flag == ':') {
      const char* what = flag == ':' ? ": its value is missing" : ": an unknown flag";
      throw std::invalid_argument(argv[optind - 1] + std::string(what));
    }
    take(flags, flag, optarg);
  }
  if (optind < argc) {
    throw std::invalid_argument(argv[optind] + std::string(": not a flag"));
  }
  return flags;
}
