// Point-to-point messages.
#include "tests/comm/conformance.h"
#include "trireme/comm/work.h"

namespace trireme::test {
namespace {

using comm::Communicator;
using comm::Work;

class Messages : public Conformance {};
INSTANTIATE_TEST_SUITE_P(Worlds, Messages, worlds_of_several(), world_name);

TEST_P(Messages, TravelRoundARing) {
  run_both([](Communicator& comm, const Make& make) {
    const int next = (comm.rank() + 1) % comm.size();
    const int before = (comm.rank() + comm.size() - 1) % comm.size();
    for (const std::int64_t count : {0, 1, 1001, 300007}) {
      const Array out = make({count}, DType::f32);
      const Array in = make({count}, DType::f32);
      fill_small(out, comm.rank());
      const Work sent = comm.send(out, next);
      comm.recv(in, before).wait();
      sent.wait();
      expect_elements(
          in, [&](std::int64_t i) { return small_value(before, i); }, "received");
    }
  });
}

TEST_P(Messages, AreMatchedByTagAndInOrder) {
  run([](Communicator& comm) {
    constexpr int kEach = 30;  // of two tags: more than may be in flight at once
    if (comm.rank() == 0) {
      std::vector<Work> works;
      std::vector<Array> arrays;
      for (int i = 0; i < kEach; ++i) {
        for (const int tag : {5, 9}) {
          arrays.push_back(Array::full({3}, tag * 1000 + i));
          works.push_back(comm.send(arrays.back(), 1, tag));
        }
      }
      for (const Work& work : works) {
        work.wait();
      }
    } else if (comm.rank() == 1) {
      std::vector<Work> works;
      std::vector<Array> late;
      for (int i = 0; i < kEach; ++i) {
        late.push_back(Array::zeros({3}));
        works.push_back(comm.recv(late.back(), 0, 9));
      }
      for (int i = 0; i < kEach; ++i) {
        const Array array = Array::zeros({3});
        comm.recv(array, 0, 5).wait();
        EXPECT_EQ(array.data<float>()[2], static_cast<float>(5000 + i));
      }
      for (int i = 0; i < kEach; ++i) {
        works[static_cast<std::size_t>(i)].wait();
        EXPECT_EQ(late[static_cast<std::size_t>(i)].data<float>()[0], static_cast<float>(9000 + i));
      }
    }
    comm.barrier().wait();
  });
}

TEST_P(Messages, MixWithCollectives) {
  run([](Communicator& comm) {
    const Array sum = Array::full({50000}, 1);
    const Work reduced = comm.all_reduce(sum);
    const Array note = Array::full({4}, comm.rank(), DType::i32);
    if (comm.rank() == 0) {
      comm.send(note, 1).wait();
    } else if (comm.rank() == 1) {
      comm.recv(note, 0).wait();
      EXPECT_EQ(note.data<std::int32_t>()[0], 0);
    }
    reduced.wait();
    EXPECT_EQ(sum.data<float>()[0], static_cast<float>(comm.size()));
  });
}

TEST_P(Messages, OfAnotherCountAreAnErrorThatNamesBoth) {
  run([](Communicator& comm) {
    if (comm.rank() > 1) {
      return;
    }
    try {
      const Work work = comm.rank() == 0 ? comm.send(Array::zeros({10}), 1) : comm.recv(Array::zeros({11}), 0);
      work.wait();
      ADD_FAILURE() << "no error on rank " << comm.rank();
    } catch (const comm::CommError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("x 10"), std::string::npos) << text;
      EXPECT_NE(text.find("x 11"), std::string::npos) << text;
    }
  });
}

}  // namespace
}  // namespace trireme::test
