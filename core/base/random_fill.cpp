// Rows of random floats: Philox on many counters at once. The lanes of a vector are independent and every operation is
// element by element, so that the bits of an element do not depend on the slice or on the width of the vectors.
#include "trireme/core/base/random.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/base/random_fill.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "hwy/contrib/math/math-inl.h"
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using Floats = hn::ScalableTag<float>;
using Halves = hn::RebindToUnsigned<Floats>;
using Signed = hn::RebindToSigned<Floats>;
using F = hn::Vec<Floats>;
using H = hn::Vec<Halves>;

HWY_INLINE F to_uniform(H bits) {
  const auto whole = hn::BitCast(Signed(), hn::ShiftRight<8>(bits));
  return hn::Mul(hn::ConvertTo(Floats(), whole), hn::Set(Floats(), 0x1.0p-24f));
}

// sqrt(-2 ln u), u in (0, 1] made of 31 bits.
HWY_INLINE F radius(H bits) {
  const Floats d;
  const F whole = hn::ConvertTo(d, hn::BitCast(Signed(), hn::ShiftRight<1>(bits)));
  const F u = hn::Min(hn::MulAdd(whole, hn::Set(d, 0x1.0p-31f), hn::Set(d, 0x1.0p-32f)), hn::Set(d, 1.0f));
  return hn::Sqrt(hn::Mul(hn::Set(d, -2.0f), hn::Min(hn::Log(d, u), hn::Zero(d))));
}

// Cosine and sine of 2 pi bits / 2^32: the quarter turn by integer arithmetic, the rest by the polynomials of the
// Cephes library (S. Moshier), good to 1 ulp on [-pi/4, pi/4].
HWY_INLINE void turn(H bits, F& cosine, F& sine) {
  const Floats d;
  const Halves halves;
  const auto quarter = hn::ShiftRight<30>(hn::Add(bits, hn::Set(halves, 1u << 29)));
  const auto rest = hn::BitCast(Signed(), hn::Sub(bits, hn::ShiftLeft<30>(quarter)));
  const F y = hn::Mul(hn::ConvertTo(d, rest), hn::Set(d, 1.57079632679f * 0x1.0p-30f));
  const F z = hn::Mul(y, y);
  F s = hn::MulAdd(hn::Set(d, -1.9515295891e-4f), z, hn::Set(d, 8.3321608736e-3f));
  s = hn::MulAdd(hn::MulAdd(s, z, hn::Set(d, -1.6666654611e-1f)), hn::Mul(z, y), y);
  F c = hn::MulAdd(hn::Set(d, 2.443315711809948e-5f), z, hn::Set(d, -1.388731625493765e-3f));
  c = hn::MulAdd(hn::MulAdd(c, z, hn::Set(d, 4.166664568298827e-2f)), hn::Mul(z, z),
                 hn::NegMulAdd(hn::Set(d, 0.5f), z, hn::Set(d, 1.0f)));
  const auto swap = hn::MaskFromVec(
      hn::BitCast(d, hn::VecFromMask(Signed(), hn::TestBit(hn::BitCast(Signed(), quarter), hn::Set(Signed(), 1)))));
  const auto sign_of = [&](H q) HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<30>(hn::And(q, hn::Set(halves, 2u)))); };
  cosine = hn::Xor(hn::IfThenElse(swap, s, c), sign_of(hn::Add(quarter, hn::Set(halves, 1u))));
  sine = hn::Xor(hn::IfThenElse(swap, c, s), sign_of(quarter));
}

#if HWY_TARGET == HWY_SCALAR

using Blocks = PhiloxBlock;

HWY_INLINE Blocks philox_blocks(std::uint64_t key, std::uint64_t block, std::uint64_t stream) {
  return philox(key, block, stream);
}

HWY_INLINE void write_uniform(const Blocks& block, float* out) {
  for (std::size_t i = 0; i < 4; ++i) {
    out[i] = hn::GetLane(to_uniform(hn::Set(Halves(), block[i])));
  }
}

HWY_INLINE void write_normal(const Blocks& block, float* out) {
  for (std::size_t i = 0; i < 4; i += 2) {
    F cosine, sine;
    turn(hn::Set(Halves(), block[i + 1]), cosine, sine);
    const F r = radius(hn::Set(Halves(), block[i]));
    out[i] = hn::GetLane(hn::Mul(r, cosine));
    out[i + 1] = hn::GetLane(hn::Mul(r, sine));
  }
}

constexpr std::size_t kStep = 4;  // numbers that one write makes

#else

using Words = hn::Repartition<std::uint64_t, Floats>;
using W = hn::Vec<Words>;

// One block in each 64-bit lane: its four numbers as a pair of vectors, (0, 1) and (2, 3), the first in the low half.
struct Blocks {
  W first, second;
};

// The product of the low halves. What the high halves hold does not matter, here and in the rounds below.
HWY_INLINE W multiply(W a, std::uint32_t b) {
  const Halves halves;
  return hn::MulEven(hn::BitCast(halves, a), hn::Set(halves, b));
}

HWY_INLINE Blocks philox_blocks(std::uint64_t key, std::uint64_t first_block, std::uint64_t stream) {
  const Words d;
  const W counter = hn::Add(hn::Set(d, first_block), hn::Iota(d, 0));
  W c0 = counter;
  W c1 = hn::ShiftRight<32>(counter);
  W c2 = hn::Set(d, stream & 0xFFFFFFFFu);
  W c3 = hn::Set(d, stream >> 32);
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const W p0 = multiply(c0, 0xD2511F53u);
    const W p1 = multiply(c2, 0xCD9E8D57u);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const W low = hn::Set(d, 0xFFFFFFFFu);
  return {hn::Or(hn::And(c0, low), hn::ShiftLeft<32>(c1)), hn::Or(hn::And(c2, low), hn::ShiftLeft<32>(c3))};
}

// Writes the numbers of the blocks.
HWY_INLINE void write_uniform(const Blocks& blocks, float* out) {
  const Words d;
  hn::StoreInterleaved2(hn::BitCast(d, to_uniform(hn::BitCast(Halves(), blocks.first))),
                        hn::BitCast(d, to_uniform(hn::BitCast(Halves(), blocks.second))), d,
                        reinterpret_cast<std::uint64_t*>(out));
}

// Box and Muller's method on the pairs (0, 1) and (2, 3) of each block; both results are used.
HWY_INLINE void write_normal(const Blocks& blocks, float* out) {
  const Words words;
  const Halves halves;
  const W low = hn::Set(words, 0xFFFFFFFFu);
  const W radii = hn::Or(hn::And(blocks.first, low), hn::ShiftLeft<32>(blocks.second));
  const W angles = hn::Or(hn::ShiftRight<32>(blocks.first), hn::AndNot(low, blocks.second));
  const F r = radius(hn::BitCast(halves, radii));
  F cosine, sine;
  turn(hn::BitCast(halves, angles), cosine, sine);
  hn::StoreInterleaved2(hn::Mul(r, cosine), hn::Mul(r, sine), Floats(), out);
}

constexpr std::size_t kStep = 2 * hn::MaxLanes(Floats());  // numbers that one write makes

#endif

template <class Write>
HWY_INLINE void fill(std::uint64_t key, std::uint64_t stream, std::uint64_t first, float* out, std::size_t count,
                     const Write& write) {
  const std::size_t step = kStep;
  std::uint64_t block = first / 4;
  std::size_t skip = first % 4;  // numbers of the first block that lie before the slice
  for (std::size_t done = 0; done < count; block += step / 4) {
    const Blocks blocks = philox_blocks(key, block, stream);
    if (skip == 0 && count - done >= step) {
      write(blocks, out + done);
      done += step;
      continue;
    }
    HWY_ALIGN float numbers[4 * hn::MaxLanes(Floats())];
    write(blocks, numbers);
    const std::size_t taken = step - skip < count - done ? step - skip : count - done;
    std::memcpy(out + done, numbers + skip, taken * sizeof(float));
    done += taken;
    skip = 0;
  }
}

void uniform_kernel(std::uint64_t key, std::uint64_t stream, std::uint64_t first, float* out, std::size_t count) {
  fill(key, stream, first, out, count, [](const Blocks& blocks, float* to) HWY_ATTR { write_uniform(blocks, to); });
}

void normal_kernel(std::uint64_t key, std::uint64_t stream, std::uint64_t first, float* out, std::size_t count) {
  fill(key, stream, first, out, count, [](const Blocks& blocks, float* to) HWY_ATTR { write_normal(blocks, to); });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(uniform_kernel);
HWY_EXPORT(normal_kernel);

// The rows must not repeat the numbers of bits().
constexpr std::uint64_t kUniformRow = 0xD1B54A32D192ED03u;
constexpr std::uint64_t kNormalRow = 0x9E3779B97F4A7C15u;
}  // namespace

void RandomStream::fill_uniform(std::uint64_t first, std::span<float> out) const {
  HWY_DYNAMIC_DISPATCH(uniform_kernel)(key_, stream_ ^ kUniformRow, first, out.data(), out.size());
}

void RandomStream::fill_normal(std::uint64_t first, std::span<float> out) const {
  HWY_DYNAMIC_DISPATCH(normal_kernel)(key_, stream_ ^ kNormalRow, first, out.data(), out.size());
}

}  // namespace trireme
#endif
