#include "packed.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace anthropo {

namespace {

constexpr size_t BLOCK = 64;

// A mean shape lies in a box of side 1. Numbers far beyond that are no predictor's, and within these limits
// no landmark is NaN or infinite, whatever the forests add up to.
constexpr float MOST_COORDINATE = 1000, MOST_THRESHOLD = 1e6;
constexpr double LEAST_SPREAD = 1e-3;  // squared, of the mean shape, which boxes are turned by

const char* const FORM = "a shape predictor of a form that dlib's trainer does not write";
const char* const SHORT = "not a dlib shape predictor, or a damaged one";

size_t padded(size_t n) { return plus(n, BLOCK - 1) / BLOCK * BLOCK; }

bool counts_fit(const Header& h) {
    return h.points >= 2 && h.points < 2048 && h.cascades >= 1 && h.cascades <= 1000 && h.trees >= 1 &&
           h.trees <= 100000 && h.leaves >= 2 && h.leaves <= 65536 && (h.leaves & (h.leaves - 1)) == 0 &&
           h.features >= 1 && h.features <= 65535;
}

// Numbers in dlib's serialisation, one after the other. Nothing is set aside for what a file merely
// announces: a count is compared with the bytes that are left first.
class Reader {
public:
    Reader(const std::uint8_t* data, size_t size) : at_(data), end_(data + size) {}

    size_t left() const { return size_t(end_ - at_); }

    std::uint64_t whole(unsigned bytes = 8) {
        const std::uint8_t control = next();
        return magnitude(control & 0x8F, bytes);  // a sign is refused as a length beyond `bytes`
    }

    std::int64_t integer(unsigned bytes = 8) {
        const std::uint8_t control = next();
        const std::uint64_t n = magnitude(control & 0x0F, bytes);
        require(n <= std::uint64_t(INT64_MAX), SHORT);
        return control & 0x80 ? -std::int64_t(n) : std::int64_t(n);
    }

    // how many elements follow: at most `most`, and each takes `least` bytes or more
    size_t count(size_t least, size_t most) {
        const std::uint64_t n = whole();
        require(n <= most, FORM);
        require(n <= left() / least, SHORT);
        return size_t(n);
    }

    // mantissa times a power of two; what is larger than `limit` or no number is refused
    float real(float limit) {
        const std::int64_t mantissa = integer();
        const std::int64_t exponent = integer(2);
        // dlib's codes for infinity and NaN begin at 32000
        const float value = exponent < 32000 ? std::ldexp(float(mantissa), int(exponent)) : INFINITY;
        require(std::abs(value) < limit, "a number in it is not finite, or too large for a shape predictor");
        return value;
    }

    // a column of `length` numbers
    void column(size_t length, float* out) {
        const std::int64_t rows = std::abs(integer()), columns = std::abs(integer());
        require(size_t(rows) == length && columns == 1, FORM);
        for (size_t i = 0; i < length; ++i) out[i] = real(MOST_COORDINATE);
    }

    size_t column_length(size_t most) {
        const Reader start = *this;
        const size_t n = size_t(std::abs(integer()));
        *this = start;
        require(n <= most, FORM);
        return n;
    }

private:
    const std::uint8_t *at_, *end_;

    std::uint8_t next() {
        require(at_ < end_, SHORT);
        return *at_++;
    }

    std::uint64_t magnitude(unsigned size, unsigned most) {
        require(size >= 1 && size <= most && size <= left(), SHORT);
        std::uint64_t n = 0;
        for (unsigned i = 0; i < size; ++i) n |= std::uint64_t(at_[i]) << (8 * i);
        at_ += size;
        return n;
    }
};

constexpr size_t LEAST_INTEGER = 2, LEAST_REAL = 4, LEAST_COLUMN = 4;  // bytes, as dlib writes them
constexpr size_t LEAST_SPLIT = 2 * LEAST_INTEGER + LEAST_REAL;

// one tree after the other: splits to one place, leaves to another
void read_tree(Reader& in, const Header& h, char* splits, char* leaves, std::uint16_t& largest) {
    require(in.count(LEAST_SPLIT, h.leaves - 1) == h.leaves - 1, FORM);
    for (size_t i = 0; i + 1 < h.leaves; ++i) {
        const std::uint64_t first = in.whole(), second = in.whole();
        require(first < 65535 && second < 65535, FORM);
        const Split s{std::uint16_t(first), std::uint16_t(second), in.real(MOST_THRESHOLD)};
        largest = std::max({largest, s.first, s.second});
        std::memcpy(splits + i * sizeof s, &s, sizeof s);
    }
    require(in.count(LEAST_COLUMN, h.leaves) == h.leaves, FORM);
    const size_t width = 2 * size_t(h.points);
    for (size_t i = 0; i < h.leaves; ++i) in.column(width, reinterpret_cast<float*>(leaves) + i * width);
}

// how many splits the first tree has, and how many trees the first forest, without moving on
void peek(Reader in, Header& h) {
    h.trees = std::uint32_t(in.count(1, 100000));
    require(h.trees >= 1, FORM);
    h.leaves = std::uint32_t(in.count(LEAST_SPLIT, 65535)) + 1;
}

void read_features(Reader& in, const Layout& lay, Header& h, std::vector<char>& out) {
    require(in.count(1, 1000) == h.cascades, FORM);
    std::vector<std::vector<std::uint32_t>> anchors(h.cascades);
    for (auto& forest : anchors) {
        forest.resize(in.count(LEAST_INTEGER, 65535));
        require(!forest.empty() && forest.size() == anchors[0].size(), FORM);
        for (auto& anchor : forest) {
            const std::uint64_t n = in.whole();
            require(n < h.points, FORM);
            anchor = std::uint32_t(n);
        }
    }
    h.features = std::uint32_t(anchors[0].size());
    const Layout all(h);
    require(all.first_features == lay.first_features, FORM);
    out.resize(all.total);
    require(in.count(1, 1000) == h.cascades, FORM);
    for (size_t c = 0; c < h.cascades; ++c) {
        require(in.count(2 * LEAST_REAL, 65535) == h.features, FORM);
        char* place = &out[all.first_features + c * all.features];
        for (std::uint32_t anchor : anchors[c]) {
            const float x = in.real(MOST_COORDINATE), y = in.real(MOST_COORDINATE);
            const Delta d{anchor, x, y};
            std::memcpy(place, &d, sizeof d);
            place += sizeof d;
        }
    }
}

std::vector<char> pack(Reader in) {
    require(in.left() > 0 && in.integer(4) == 1, SHORT);
    Header h{};
    std::memcpy(h.magic, PACKED_MAGIC, sizeof h.magic);
    const size_t width = in.column_length(4094);
    require(width >= 4 && width % 2 == 0, FORM);
    require(width <= in.left() / LEAST_REAL, SHORT);
    h.points = std::uint32_t(width / 2);
    std::vector<float> shape(width);
    in.column(width, shape.data());
    require(spread_out(shape.data(), h.points), FORM);
    h.cascades = std::uint32_t(in.count(1, 1000));
    require(h.cascades >= 1, FORM);
    peek(in, h);
    h.features = 1;  // not known yet
    require(counts_fit(h), FORM);
    const Layout lay(h);
    // in dlib's file every number takes as many bytes as here, or more
    require(times(times(h.cascades, h.trees), (h.leaves - 1) * sizeof(Split) + h.leaves * width * sizeof(float)) <=
                in.left(),
            SHORT);
    std::vector<char> out(lay.first_features);
    std::memcpy(&out[lay.shape], shape.data(), width * sizeof(float));
    std::uint16_t largest = 0;
    for (size_t c = 0; c < h.cascades; ++c) {
        require(in.count(1, 100000) == h.trees, FORM);
        char* splits = &out[lay.first_cascade + c * lay.cascade];
        char* leaves = splits + lay.splits;
        for (size_t t = 0; t < h.trees; ++t)
            read_tree(in, h, splits + t * (h.leaves - 1) * sizeof(Split),
                      leaves + t * h.leaves * width * sizeof(float), largest);
    }
    read_features(in, lay, h, out);
    require(largest < h.features, FORM);
    seal(h, out);
    return out;
}

}  // namespace

bool spread_out(const float* shape, size_t points) {
    double mean[2] = {0, 0}, spread = 0;
    for (size_t j = 0; j < 2 * points; ++j) mean[j % 2] += double(shape[j]) / double(points);
    for (size_t j = 0; j < 2 * points; ++j) spread += (shape[j] - mean[j % 2]) * (shape[j] - mean[j % 2]);
    return spread >= LEAST_SPREAD;
}

HOT void Checksum::add(const void* data, size_t size) {
    std::uint64_t sums[LANES], sums_of_sums[LANES];
    std::copy(sums_, sums_ + LANES, sums);
    std::copy(sums_of_sums_, sums_of_sums_ + LANES, sums_of_sums);
    const char* p = static_cast<const char*>(data);
    for (size_t i = 0; i + BLOCK <= size; i += BLOCK) {
        std::uint64_t words[LANES];
        std::memcpy(words, p + i, sizeof words);
        // two loops: each is one instruction of the widest registers
        for (int k = 0; k < LANES; ++k) sums[k] += words[k];
        for (int k = 0; k < LANES; ++k) sums_of_sums[k] += sums[k];
    }
    std::copy(sums, sums + LANES, sums_);
    std::copy(sums_of_sums, sums_of_sums + LANES, sums_of_sums_);
}

std::uint64_t Checksum::value() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t* lanes : {sums_, sums_of_sums_})
        for (int k = 0; k < LANES; ++k) {
            sum = (sum ^ lanes[k]) * 0x9E3779B97F4A7C15u;
            sum ^= sum >> 32;
        }
    return sum;
}

Layout::Layout(const Header& h) {
    require(counts_fit(h), FORM);
    const size_t width = 2 * size_t(h.points) * sizeof(float);
    shape = sizeof(Header);
    first_cascade = plus(shape, padded(width));
    splits = padded(times(times(h.trees, h.leaves - 1), sizeof(Split)));
    leaves = padded(times(times(h.trees, h.leaves), width));
    cascade = plus(splits, leaves);
    first_features = plus(first_cascade, times(h.cascades, cascade));
    features = padded(times(h.features, sizeof(Delta)));
    total = plus(first_features, times(h.cascades, features));
}

py::array_t<std::uint8_t> pack_shape_predictor(const Bytes& dat) {
    require(dat.ndim() == 1, "the bytes of a file must have shape (N,)");
    std::unique_ptr<std::vector<char>> out(new std::vector<char>());
    {
        py::gil_scoped_release nogil;
        *out = pack(Reader(dat.data(), size_t(dat.size())));
    }
    return as_block(std::move(out));
}

void seal(Header h, std::vector<char>& block) {
    h.checksum = 0;
    std::memcpy(&block[0], &h, sizeof h);
    Checksum sum;
    sum.add(block.data(), block.size());
    h.checksum = sum.value();
    std::memcpy(&block[0], &h, sizeof h);
}

py::array_t<std::uint8_t> as_block(std::unique_ptr<std::vector<char>> out) {
    std::vector<char>* kept = out.get();
    const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<char>*>(p); });
    out.release();
    py::array_t<std::uint8_t> result({py::ssize_t(kept->size())}, {py::ssize_t(1)},
                                     reinterpret_cast<const std::uint8_t*>(kept->data()), owner);
    result.attr("setflags")(py::arg("write") = false);
    return result;
}

Header check_packed(const char* block, size_t size) {
    const char* damaged = "not a packed shape predictor, or a damaged one";
    Header h;
    require(size >= sizeof h, damaged);
    std::memcpy(&h, block, sizeof h);
    require(std::memcmp(h.magic, PACKED_MAGIC, sizeof h.magic) == 0 && counts_fit(h), damaged);
    const Layout lay(h);
    require(lay.total == size, damaged);

    // Once through the whole block: what is summed is still in the processor's cache when it is looked at.
    Checksum sum;
    Header blank = h;
    blank.checksum = 0;
    sum.add(&blank, sizeof blank);
    const char* at = block + sizeof h;
    const auto next = [&](size_t n) {
        sum.add(at, n);
        at += n;
        return at - n;
    };
    const auto reals = [&](size_t count, size_t n) {  // so many, in n bytes
        constexpr size_t CHUNK = 1 << 15;
        for (size_t done = 0; done < n; done += CHUNK) {
            const size_t here = std::min(CHUNK, n - done), from = done / sizeof(float);
            const float* values = reinterpret_cast<const float*>(next(here));
            const size_t own = from < count ? std::min(here / sizeof(float), count - from) : 0;
            require(all_within(values, own, MOST_COORDINATE), damaged);
        }
    };
    const size_t width = 2 * size_t(h.points), trees = h.trees;
    reals(width, lay.first_cascade - lay.shape);
    require(spread_out(reinterpret_cast<const float*>(block + lay.shape), h.points), damaged);
    for (std::uint32_t c = 0; c < h.cascades; ++c) {
        const Split* s = reinterpret_cast<const Split*>(next(lay.splits));
        for (size_t i = 0; i < trees * (h.leaves - 1); ++i)
            require(s[i].first < h.features && s[i].second < h.features && std::abs(s[i].threshold) < MOST_THRESHOLD,
                    damaged);
        reals(trees * h.leaves * width, lay.leaves);
    }
    for (std::uint32_t c = 0; c < h.cascades; ++c) {
        const Delta* d = reinterpret_cast<const Delta*>(next(lay.features));
        for (std::uint32_t i = 0; i < h.features; ++i)
            require(d[i].anchor < h.points && std::abs(d[i].x) < MOST_COORDINATE && std::abs(d[i].y) < MOST_COORDINATE,
                    damaged);
    }
    require(sum.value() == h.checksum, damaged);
    return h;
}

}  // namespace anthropo
