// Where an array lives.
#pragma once

#include <string>

namespace trireme {

enum class DeviceType : unsigned char { cpu, cuda };

// One process drives one device; the index is the CUDA ordinal and 0 for the CPU.
struct Device {
  DeviceType type = DeviceType::cpu;
  signed char index = 0;

  bool is_cpu() const { return type == DeviceType::cpu; }
  friend bool operator==(Device, Device) = default;
};

inline std::string name_of(Device device) {
  return device.is_cpu() ? "cpu" : "cuda:" + std::to_string(static_cast<int>(device.index));
}

}  // namespace trireme
