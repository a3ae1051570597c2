// "Did you mean ...?": the nearest known word to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trireme::training {

// ", did you mean --layers?" when a known word is at most a third of its letters away; else empty.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& known);

}  // namespace trireme::training
