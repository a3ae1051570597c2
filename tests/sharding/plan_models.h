// Models as plans see them, for the tables of this folder's tests.
#pragma once

#include <string>
#include <vector>

#include "trireme/sharding/unit_plan.h"

namespace trireme::sharding {

// GPT-2 of any size, written from its definition; every block is a unit.
inline std::vector<PlannedParameter> gpt2(std::int64_t layers, std::int64_t c, std::int64_t context,
                                          std::int64_t vocab) {
  std::vector<PlannedParameter> out = {{"wte", {vocab, c}}, {"wpe", {context, c}}};
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string h = "h." + std::to_string(i);
    const std::vector<std::pair<std::string, Shape>> block = {{".ln_1.weight", {c}},
                                                              {".ln_1.bias", {c}},
                                                              {".attn.c_attn.weight", {c, 3 * c}},
                                                              {".attn.c_attn.bias", {3 * c}},
                                                              {".attn.c_proj.weight", {c, c}},
                                                              {".attn.c_proj.bias", {c}},
                                                              {".ln_2.weight", {c}},
                                                              {".ln_2.bias", {c}},
                                                              {".mlp.c_fc.weight", {c, 4 * c}},
                                                              {".mlp.c_fc.bias", {4 * c}},
                                                              {".mlp.c_proj.weight", {4 * c, c}},
                                                              {".mlp.c_proj.bias", {c}}};
    for (const auto& [name, shape] : block) {
      out.push_back({h + name, shape, true, h});
    }
  }
  out.push_back({"ln_f.weight", {c}});
  out.push_back({"ln_f.bias", {c}});
  return out;
}

inline constexpr std::int64_t kGpt2Parameters = 124439808;  // of the published 124M model

// A root of 64 rows of 16, and two blocks of 32 rows of 16: 1024 + 2 * 512 = 2048 elements, all of them whole lines.
inline std::vector<PlannedParameter> small_model() {
  return {{"root", {64, 16}}, {"a.w", {32, 16}, true, "a"}, {"b.w", {32, 16}, true, "b"}};
}

}  // namespace trireme::sharding
