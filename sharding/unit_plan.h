// Units of sharding: which parameters are gathered, reduced and freed together, and where each lies in the unit's
// buffers. Pure arithmetic.
//
// A unit is a module whose parameters become whole together just before its forward pass (FSDP2 calls it a parameter
// group): for a transformer, each block. What is in no such module is the root unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/base/shape.h"

namespace trireme::sharding {

// The elements that a parameter of `count` f32 elements takes in a buffer: whole cache lines, so that neighbours share
// none.
constexpr std::int64_t padded_to_lines(std::int64_t count) {
  constexpr std::int64_t kLine = 16;
  return (count + kLine - 1) / kLine * kLine;
}

// A parameter as plans see it.
struct PlannedParameter {
  std::string name;
  Shape shape;
  bool dense_gradient = true;  // one of its size: frozen parameters have none, sparse tables only the touched rows
  std::string unit = {};       // the path of its unit's module; "" is the root unit
};

// A parameter's place in its unit. Offsets are in elements and multiples of a cache line.
struct UnitParameter {
  std::size_t index = 0;                  // into the list of parameters
  std::int64_t offset = 0;                // in the buffer of whole parameters
  std::int64_t gradient_offset = -1;      // in the buffer of whole gradients; -1: frozen
  std::vector<std::int64_t> row_offsets;  // within the parameter, [place in the shard group]; see shard_rows.h
};

struct Unit {
  std::string path;                       // of its module; "" is the root unit
  std::vector<UnitParameter> parameters;  // in the order of the list
  std::int64_t elements = 0;              // of the buffer of whole parameters, padding included
  std::int64_t gradient_elements = 0;     // of the buffer of whole gradients
};

struct UnitPlan {
  // The root unit first, which may be empty; the others in the order of their first parameter in the list: that of
  // registration, which is that of the forward pass.
  std::vector<Unit> units;
  std::vector<std::size_t> unit_of;  // [parameter]

  // `parameters` in the order of registration; nn::units_of says which unit a parameter belongs to.
  static UnitPlan make(std::span<const PlannedParameter> parameters, int group_size);

  // The buffers of a pool that hands out whole units (their parameters, or their gradients), when the root and any two
  // neighbouring units are in use at once: two for each size that neighbours have, one for every other.
  std::int64_t pooled_elements() const;
  std::int64_t pooled_gradient_elements() const;
  std::int64_t elements() const;  // of all units
  std::int64_t gradient_elements() const;
  // What the rank at `place` keeps of the unit's parameters, or of its trained ones: own rows side by side, each
  // parameter's from a cache line on.
  static std::int64_t shard_elements(const Unit& unit, int place);
  static std::int64_t shard_gradient_elements(const Unit& unit, int place);
};

}  // namespace trireme::sharding
