// Places: storage whose memory comes and goes while Arrays stay what they are.
#include "trireme/core/array/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/error_of.h"
#include "trireme/core/array/allocator.h"
#include "trireme/core/array/array.h"

namespace trireme {
namespace {

using test::error_of;

StorageRef named_place(std::size_t floats, std::string name = "h.3.weight") {
  return Storage::place(floats * sizeof(float), [name] { fail("{} is sharded now", name); });
}

TEST(Place, ArraysAndTheirViewsSeeWhateverMemoryIsThere) {
  const StorageRef place = named_place(6);
  const Array whole = Array::over(place, 0, {2, 3}, DType::f32);
  const Array column = whole.select(1, 2);
  const Array bytes_later = Array::over(place, 8, {4}, DType::f32);
  place->attach(Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {6}));
  EXPECT_EQ(column.to_vector<float>(), (std::vector<float>{3, 6}));
  EXPECT_EQ(bytes_later.to_vector<float>(), (std::vector<float>{3, 4, 5, 6}));
  place->detach();
  place->attach(Array::from(std::vector<float>{9, 8, 7, 6, 5, 4}, {2, 3}));
  EXPECT_EQ(column.to_vector<float>(), (std::vector<float>{7, 4}));
  EXPECT_EQ(whole.transpose(0, 1).contiguous().to_vector<float>(), (std::vector<float>{9, 6, 8, 5, 7, 4}));
}

TEST(Place, WithoutMemoryEveryAccessIsTheErrorOfItsOwner) {
  const StorageRef place = named_place(4);
  const Array array = Array::over(place, 0, {2, 2}, DType::f32);
  const auto expect_absent = [&](const char* when) {
    SCOPED_TRACE(when);
    EXPECT_TRUE(array.defined());
    EXPECT_FALSE(array.has_data());
    const Array column = array.narrow(1, 0, 1);  // a view needs no elements
    for (const std::string& error : {
             error_of([&] { array.data<float>(); }),
             error_of([&] { array.bytes_data(); }),
             error_of([&] { (void)array.span<float>(); }),
             error_of([&] { array.clone(); }),
             error_of([&] { array.to(DType::f64); }),
             error_of([&] { column.contiguous(); }),
             error_of([&] { array.fill(1); }),
             error_of([&] {
               array.copy_from(Array::zeros({2, 2}));
             }),
             error_of([&] { array.pinned(); }),
         }) {
      EXPECT_EQ(error, "h.3.weight is sharded now");
    }
  };
  expect_absent("before the first memory");
  place->attach(Array::zeros({4}));
  EXPECT_TRUE(array.has_data());
  EXPECT_EQ(array.to_vector<float>(), std::vector<float>(4, 0));
  place->detach();
  expect_absent("after the last");
}

TEST(Place, AWrongDtypeIsStillCalledThat) {
  const Array array = Array::over(named_place(4), 0, {4}, DType::f32);
  EXPECT_THAT(error_of([&] { array.data<double>(); }), testing::HasSubstr("accessed as f64"));
}

TEST(Place, AnOwnerWithNothingToSayGivesAGeneralError) {
  const Array array = Array::over(Storage::place(16, {}), 0, {4}, DType::f32);
  EXPECT_THAT(error_of([&] { array.data<float>(); }), testing::HasSubstr("16 bytes have no memory now"));
}

TEST(Place, KeepsItsMemoryAliveUntilItIsTakenAway) {
  int released = 0;
  float elements[4] = {1, 2, 3, 4};
  const auto memory = [&] {
    return Array::over(Storage::adopt(elements, sizeof(elements), [&] { ++released; }), 0, {4}, DType::f32);
  };
  const StorageRef place = named_place(4);
  const Array array = Array::over(place, 0, {4}, DType::f32);
  place->attach(memory());
  EXPECT_EQ(released, 0);
  EXPECT_EQ(array.data<float>(), elements);
  place->attach(memory());  // in exchange
  EXPECT_EQ(released, 1);
  place->detach();
  EXPECT_EQ(released, 2);
  place->detach();  // nothing left to take
  {
    const StorageRef other = named_place(4);
    other->attach(memory());
  }
  EXPECT_EQ(released, 3) << "with the place";
}

TEST(Place, MayHaveAPartOfALargerBlock) {
  const Array block = Array::from(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}, {8});
  const StorageRef place = named_place(3);
  place->attach(block.narrow(0, 2, 3));
  const Array array = Array::over(place, 4, {2}, DType::f32);
  array.fill(9);
  EXPECT_EQ(block.to_vector<float>(), (std::vector<float>{0, 1, 2, 9, 9, 5, 6, 7}));
}

TEST(Place, WhatIsPinnedOutlivesThePlacesMemory) {
  const StorageRef place = named_place(4);
  const Array tail = Array::over(place, 0, {4}, DType::f32).narrow(0, 1, 3);
  place->attach(Array::from(std::vector<float>{1, 2, 3, 4}, {4}));
  const Array pinned = tail.pinned();
  EXPECT_EQ(pinned.bytes_data(), tail.bytes_data());
  place->detach();
  EXPECT_EQ(pinned.to_vector<float>(), (std::vector<float>{2, 3, 4}));
  EXPECT_FALSE(tail.has_data());
}

TEST(Place, AnArrayWithMemoryOfItsOwnIsPinnedAsItIs) {
  const Array array = Array::zeros({3});
  EXPECT_EQ(array.pinned().storage().get(), array.storage().get());
  EXPECT_FALSE(Array().pinned().defined());
}

TEST(Place, IsNeverReusedInPlaceByAnOpAsItsMemoryMayBeShared) {
  const StorageRef place = named_place(4);
  place->attach(Array::zeros({4}));
  EXPECT_FALSE(Array::over(named_place(4), 0, {4}, DType::f32).is_unique());
  EXPECT_TRUE(Array::zeros({4}).is_unique());
}

TEST(Place, RefusesMemoryThatDoesNotFit) {
  const StorageRef place = named_place(4);
  EXPECT_THAT(error_of([&] { place->attach(Array::zeros({3})); }), testing::HasSubstr("16 bytes"));
  EXPECT_THAT(error_of([&] { place->attach(Array::zeros({4, 2}).select(1, 0)); }), testing::HasSubstr("contiguous"));
  EXPECT_THAT(error_of([&] { place->attach(Array::deferred({4})); }), testing::HasSubstr("given for a place"));
  const StorageRef other = named_place(4);
  other->attach(Array::zeros({4}));
  EXPECT_THAT(error_of([&] { place->attach(Array::over(other, 0, {4}, DType::f32)); }),
              testing::HasSubstr("no place itself"));
  EXPECT_THAT(error_of([&] { Storage::allocate(16)->attach(Array::zeros({4})); }),
              testing::HasSubstr("Storage::place"));
  EXPECT_FALSE(place->data() != nullptr);
}

TEST(Place, MovingMemoryInAndOutTakesNothingFromTheArena) {
  const Array memory = Array::zeros({1 << 20});
  const StorageRef place = named_place(1 << 20);
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 3; ++i) {
    place->attach(memory);
    place->detach();
  }
  EXPECT_EQ(memory_stats().bytes_in_use, before.bytes_in_use);
  EXPECT_EQ(memory_stats().system_calls, before.system_calls);
}

}  // namespace
}  // namespace trireme
