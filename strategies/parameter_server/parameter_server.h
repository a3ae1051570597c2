// ParameterServer: variables and the optimizer live on servers; a worker computes gradients and reads values
// (TensorFlow's ParameterServerStrategy; Li et al., "Scaling distributed machine learning with the parameter server",
// OSDI 2014). docs/parameter_server.md says what each consistency promises.
//
// The training loop is that of every strategy. The communicator spans the workers, and is used in prepare() only (and
// by synchronized batch normalization): steps go through the servers. A server runs serve() instead of a loop.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "trireme/strategies/lane_strategy.h"
#include "trireme/strategies/parameter_server/client/client.h"
#include "trireme/strategies/parameter_server/plan.h"

namespace trireme::strategies {

struct ParameterServerOptions {
  std::uint64_t seed = 0;
  int servers = 1;
  parameter_server::Consistency consistency = parameter_server::Consistency::sync;
  std::int64_t staleness = 0;  // ssp: how many steps a worker may be ahead of the slowest
  // Pieces of variables; nothing: of at least 256 KiB, at most one a server.
  std::optional<sharding::Partitioner> partitioner = {};
  std::uint64_t life = 1;                    // which of its processes this worker is: greater for each restart
  std::chrono::milliseconds timeout{60000};  // of each wait for a server
};

namespace parameter_server {

class WorkerGradients;

// What workers and servers of a job agree on, made by each from its own model and optimizer (values are not needed):
// the trained parameters, sparse tables last.
// Raises Error (usage) for options that make no sense.
Plan plan_for(const nn::Module& model, const optim::Optimizer& optimizer, int workers,
              const ParameterServerOptions& options);

// Runs server `endpoint.self().index` until every worker has said goodbye or is dead. The optimizer is attached to the
// server's pieces. Raises Error if a worker has not said hello within the timeout.
struct ServeOptions {
  std::chrono::milliseconds lease{1500};     // a lost worker is dead after so long
  std::chrono::milliseconds timeout{60000};  // for all workers to say hello, and for a worker to take an answer
};
void serve(Endpoint& endpoint, const Plan& plan, optim::Optimizer& optimizer, const ServeOptions& options = {});

}  // namespace parameter_server

class ParameterServer final : public LaneStrategy {
 public:
  // `endpoint`: of worker world.rank(). Must outlive the strategy, which says goodbye when it is destroyed.
  ParameterServer(comm::World world, parameter_server::Endpoint& endpoint, const ParameterServerOptions& options = {});
  ~ParameterServer() override;

  // This worker's copies of dense parameters, and buffers; tables and the optimizer's state are on the servers. Before
  // the first step rank 0's copies may be written.
  std::vector<sharding::StateTensor> state() override;
  bool state_is_whole() const override { return false; }
  bool is_lockstep() const override { return is_sync(); }
  void state_written() override;
  // Tables are on the servers only: rows() asks for them, and value() makes the whole for this once.
  std::vector<WholeParameter> whole_parameters() override;
  SparseRows rows_of(const Node* table, const Array& indices) override;
  std::string_view name() const override { return "parameter_server"; }
  std::string carrier() override { return endpoint_.carrier(); }
  std::uint64_t bytes_moved() override;

 protected:
  sharding::TrainingShape training_shape() const override { return {}; }
  bool holds_state() const override { return false; }
  void place_parameters() override;
  std::unique_ptr<GradientReduction> make_gradients(std::vector<TrainedParameter> trained) override;
  std::vector<optim::Slot> make_slots() override;
  void after_update() override;
  void reduce_tables(SparseGradients& tables, const StepPlan& plan) override;
  void reduce_scalars(StepScalars& scalars, const StepPlan& plan) override;
  void scale_gradients(double factor) override;
  double gradient_norm() override;
  void update(double clip_factor) override;
  std::chrono::nanoseconds time_waiting() override;

 private:
  bool is_sync() const { return options_.consistency == parameter_server::Consistency::sync; }
  bool is_table(std::size_t variable) const { return plan_.variables[variable].sparse; }
  Array rows_of_piece(const Array& whole, int piece) const;
  void assign_own_values();
  void pull_all();
  void take_values(const parameter_server::Client::Answer& answer);
  void push_tables(const std::vector<std::vector<SparseRows>>& parts, const StepPlan& plan);
  void add_up_own(StepScalars& scalars, const StepPlan& plan);
  SparseRows pull_rows(std::size_t variable, const Array& rows);

  parameter_server::Endpoint& endpoint_;
  ParameterServerOptions options_;
  parameter_server::Plan plan_;
  std::unique_ptr<parameter_server::Client> client_;
  parameter_server::WorkerGradients* gradients_ = nullptr;  // the base's
  SparseGradients* tables_ = nullptr;                       // the base's, in a step
  std::vector<std::size_t> parameter_of_;                   // [variable]: index into parameters(); tables come last
  std::vector<Array> values_;                               // [parameter]; of tables undefined
  double share_ = 1;  // ssp, async: of the step's items; a mean over this worker's items counts for so much
  std::int64_t step_ = 0;
};

}  // namespace trireme::strategies
