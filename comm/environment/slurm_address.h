// Nodes whose names the system cannot resolve: Slurm knows their addresses.
#pragma once

#include <string>

namespace trireme::comm {

// NodeAddr of a node, asked from `scontrol show node`. Empty if Slurm does not tell within ten seconds.
std::string slurm_address_of_node(const std::string& node);

// The word after "NodeAddr=" in that command's output; empty if there is none.
std::string node_address_in(const std::string& text);

}  // namespace trireme::comm
