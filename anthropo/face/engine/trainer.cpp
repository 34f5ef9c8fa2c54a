#include "trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>

#include "forest.hpp"
#include "images.hpp"
#include "packed.hpp"
#include "workers.hpp"

namespace anthropo {

namespace {

constexpr size_t MOST_FACES = 1 << 20, MOST_CHIPS = 1 << 17, MOST_FEATURE_BYTES = size_t(1) << 32;
constexpr size_t MOST_PACKED = size_t(1) << 29;
constexpr size_t PIECE = 1024;  // faces whose sums are in single precision; fixed, so that threads do not matter

// The same numbers on every machine (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }

    double unit() { return double(next() >> 11) / 9007199254740992.0; }

    std::uint32_t below(std::uint32_t n) { return std::uint32_t(((next() >> 32) * n) >> 32); }

private:
    std::uint64_t state_;
};

struct Place {
    float x, y;
};

// What is known of one node of a growing tree: its faces, and what their shapes still lack, summed.
struct Node {
    size_t begin = 0, end = 0;
    std::vector<double> sum;
};

struct Faces {
    std::vector<Image> chips;
    std::vector<std::uint32_t> of_chip;
    std::vector<float> maps, targets, starts, mean;
    const std::uint8_t* known;
    size_t n, width;
    bool whole;  // no point is unknown
};

HOT void add(float* to, const float* values, size_t n) {
    for (size_t j = 0; j < n; ++j) to[j] += values[j];
}

HOT void move(float* shape, float* lacking, const float* leaf, size_t n) {
    for (size_t j = 0; j < n; ++j) shape[j] += leaf[j], lacking[j] -= leaf[j];
}

class Trainer {
public:
    Trainer(const Faces& faces, const Recipe& recipe, const py::object& report)
        : f_(faces), r_(recipe), report_(report), random_(recipe.seed), workers_(recipe.threads) {
        std::memset(&h_, 0, sizeof h_);
        std::memcpy(h_.magic, PACKED_MAGIC, sizeof h_.magic);
        h_.points = std::uint32_t(f_.width / 2), h_.cascades = r_.cascades, h_.trees = r_.trees;
        h_.leaves = 1u << r_.depth, h_.features = r_.features;
        layout_ = Layout(h_);
        require(layout_.total <= MOST_PACKED, "trees of more than half a GiB: fewer, or less deep ones");
        out_.reset(new std::vector<char>(layout_.total));
        std::memcpy(&(*out_)[layout_.shape], f_.mean.data(), f_.width * sizeof(float));
        shapes_ = f_.starts, lacking_.resize(f_.n * f_.width), seen_.resize(f_.n * r_.features);
        order_.resize(f_.n), scratch_.resize(f_.n);
        pieces_.resize((f_.n / PIECE + h_.leaves) * (r_.candidates + 1) * (f_.width + 1));
    }

    std::unique_ptr<std::vector<char>> train() {
        for (std::uint32_t c = 0; c < r_.cascades; ++c) {
            look(c);
            char* splits = &(*out_)[layout_.first_cascade + c * layout_.cascade];
            for (std::uint32_t t = 0; t < r_.trees; ++t) {
                grow(reinterpret_cast<Split*>(splits) + size_t(t) * (h_.leaves - 1),
                     reinterpret_cast<float*>(splits + layout_.splits) + size_t(t) * h_.leaves * f_.width);
                tell(c * r_.trees + t + 1);
            }
        }
        seal(h_, *out_);
        return std::move(out_);
    }

private:
    const Faces& f_;
    const Recipe& r_;
    const py::object& report_;
    Random random_;
    Workers workers_;
    Header h_;
    Layout layout_;
    std::unique_ptr<std::vector<char>> out_;
    std::vector<float> shapes_, lacking_;  // (N, 2 P): where prediction has come to, and what it lacks
    std::vector<std::uint8_t> seen_;       // (N, features)
    std::vector<std::uint32_t> order_, scratch_;
    std::vector<float> pieces_;  // sums of a candidate's left side and their number, by piece of work
    std::vector<Place> places_;
    std::chrono::steady_clock::time_point told_{};

    void tell(std::uint32_t done) {
        const std::uint32_t total = r_.cascades * r_.trees;
        const auto now = std::chrono::steady_clock::now();
        if (done < total && now - told_ < std::chrono::milliseconds(100)) return;
        told_ = now;
        const py::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        report_(done, total);
    }

    // Another set of pixels for a cascade, and their grey values in every face.
    void look(std::uint32_t c) {
        const float* mean = f_.mean.data();
        float low[2] = {mean[0], mean[1]}, high[2] = {mean[0], mean[1]};
        for (size_t j = 0; j < f_.width; ++j) {
            low[j % 2] = std::min(low[j % 2], mean[j]);
            high[j % 2] = std::max(high[j % 2], mean[j]);
        }
        places_.resize(r_.features);
        Delta* deltas = reinterpret_cast<Delta*>(&(*out_)[layout_.first_features + c * layout_.features]);
        for (std::uint32_t i = 0; i < r_.features; ++i) {
            const auto between = [&](int k) {
                return float(low[k] - r_.padding + random_.unit() * (high[k] - low[k] + 2 * r_.padding));
            };
            Place& p = places_[i];
            p.x = between(0), p.y = between(1);
            std::uint32_t nearest = 0;
            float best = INFINITY;
            for (std::uint32_t j = 0; j < h_.points; ++j) {
                const float dx = p.x - mean[2 * j], dy = p.y - mean[2 * j + 1], d = dx * dx + dy * dy;
                if (d < best) best = d, nearest = j;
            }
            deltas[i] = Delta{nearest, p.x - mean[2 * nearest], p.y - mean[2 * nearest + 1]};
        }
        workers_.run((f_.n + PIECE - 1) / PIECE, [&](size_t piece) {
            float values[MOST_FEATURES];
            for (size_t i = piece * PIECE; i < std::min(f_.n, (piece + 1) * PIECE); ++i) {
                float* shape = &shapes_[i * f_.width];
                double map[6];
                std::copy(&f_.maps[6 * i], &f_.maps[6 * i] + 6, map);
                read_features(f_.chips[f_.of_chip[i]], map, mean, shape, h_.points, deltas, r_.features, values);
                for (std::uint32_t k = 0; k < r_.features; ++k)
                    seen_[i * r_.features + k] = std::uint8_t(values[k]);
                for (size_t j = 0; j < f_.width; ++j)
                    lacking_[i * f_.width + j] = knows(i, j) ? f_.targets[i * f_.width + j] - shape[j] : 0.0f;
            }
        });
    }

    bool knows(size_t face, size_t j) const { return f_.whole || f_.known[face * h_.points + j / 2]; }

    bool left(const Split& s, size_t face) const {
        const std::uint8_t* v = &seen_[face * r_.features];
        return float(v[s.first]) - float(v[s.second]) > s.threshold;
    }

    // dlib's way to propose a split: pixels near each other are likelier (Kazemi & Sullivan, section 2.3.2)
    Split propose() {
        Split s{};
        for (size_t tries = size_t(r_.features) * r_.features; tries > 0; --tries) {
            const std::uint32_t a = random_.below(r_.features);
            std::uint32_t b = random_.below(r_.features - 1);
            b += b >= a;
            s.first = std::uint16_t(a), s.second = std::uint16_t(b);
            const double far = std::hypot(places_[a].x - places_[b].x, places_[a].y - places_[b].y);
            if (std::exp(-far / r_.lambda) > random_.unit()) break;
        }
        s.threshold = float((random_.unit() * 256 - 128) / 2);
        return s;
    }

    void grow(Split* splits, float* leaves) {
        for (size_t i = 0; i < f_.n; ++i) order_[i] = std::uint32_t(i);
        std::vector<Node> nodes(1);
        nodes[0].end = f_.n;
        for (std::uint32_t level = 0; level < r_.depth; ++level) {
            nodes = divide(nodes, splits);
            splits += size_t(1) << level;
        }
        fill(nodes, leaves);
        workers_.run((f_.n + PIECE - 1) / PIECE, [&](size_t piece) {
            const size_t first = piece * PIECE, last = std::min(f_.n, first + PIECE);
            auto node = std::upper_bound(nodes.begin(), nodes.end(), first,
                                         [](size_t at, const Node& one) { return at < one.end; });
            for (size_t i = first; i < last; ++i) {
                while (node->end <= i) ++node;
                step(order_[i], leaves + size_t(node - nodes.begin()) * f_.width);
            }
        });
    }

    void step(size_t face, const float* leaf) {
        move(&shapes_[face * f_.width], &lacking_[face * f_.width], leaf, f_.width);
        if (f_.whole) return;
        for (size_t j = 0; j < f_.width; ++j)
            if (!knows(face, j)) lacking_[face * f_.width + j] = 0;
    }

    // One level deeper: the best of the candidates at every node.
    std::vector<Node> divide(const std::vector<Node>& nodes, Split* splits) {
        const std::uint32_t k = r_.candidates;
        const size_t width = f_.width, row = (k + 1) * (width + 1);
        std::vector<Split> proposed;
        for (size_t i = 0; i < nodes.size() * k; ++i) proposed.push_back(propose());
        struct Part {
            size_t node, begin, end;
        };
        std::vector<Part> parts;
        for (size_t n = 0; n < nodes.size(); ++n)
            for (size_t at = nodes[n].begin; at < nodes[n].end; at += PIECE)
                parts.push_back({n, at, std::min(at + PIECE, nodes[n].end)});
        workers_.run(parts.size(), [&](size_t p) {
            float* sums = &pieces_[p * row];
            std::fill(sums, sums + row, 0.0f);
            const Split* of = &proposed[parts[p].node * k];
            for (size_t i = parts[p].begin; i < parts[p].end; ++i) {
                const size_t face = order_[i];
                const float* lacks = &lacking_[face * width];
                for (std::uint32_t c = 0; c < k; ++c)
                    if (left(of[c], face)) add(sums + c * (width + 1), lacks, width), sums[c * (width + 1) + width] += 1;
                if (nodes[parts[p].node].sum.empty()) add(sums + k * (width + 1), lacks, width);  // of all
            }
        });
        std::vector<double> total((k + 1) * (width + 1));
        std::vector<Node> next(2 * nodes.size());
        for (size_t n = 0, p = 0; n < nodes.size(); ++n) {
            std::fill(total.begin(), total.end(), 0.0);
            for (; p < parts.size() && parts[p].node == n; ++p)
                for (size_t j = 0; j < row; ++j) total[j] += pieces_[p * row + j];
            const double* whole = nodes[n].sum.empty() ? &total[k * (width + 1)] : nodes[n].sum.data();
            const std::uint32_t best = best_of(total, whole, nodes[n].end - nodes[n].begin);
            splits[n] = proposed[n * k + best];
            Node &l = next[2 * n], &r = next[2 * n + 1];
            const double* sum = &total[best * (width + 1)];
            l.sum.assign(sum, sum + width);
            for (size_t j = 0; j < width; ++j) r.sum.push_back(whole[j] - sum[j]);
            l.begin = nodes[n].begin, r.end = nodes[n].end;
            l.end = r.begin = part(splits[n], l.begin, r.end);
        }
        return next;
    }

    // The candidate that leaves the least variance: the largest sum of squared means, weighted by their number.
    std::uint32_t best_of(const std::vector<double>& total, const double* whole, size_t count) const {
        std::uint32_t best = 0;
        double most = -1;
        for (std::uint32_t c = 0; c < r_.candidates; ++c) {
            const double* sum = &total[c * (f_.width + 1)];
            const double n = sum[f_.width], others = double(count) - n;
            if (n == 0 || others == 0) continue;
            double a = 0, b = 0;
            for (size_t j = 0; j < f_.width; ++j) a += sum[j] * sum[j], b += (whole[j] - sum[j]) * (whole[j] - sum[j]);
            const double score = a / n + b / others;
            if (score > most) most = score, best = c;
        }
        return best;
    }

    // Those who go left come first, each side in its order; where the right side begins.
    size_t part(const Split& split, size_t begin, size_t end) {
        size_t to = begin, others = 0;
        for (size_t i = begin; i < end; ++i) {
            const std::uint32_t face = order_[i];
            if (left(split, face))
                order_[to++] = face;
            else
                scratch_[others++] = face;
        }
        std::copy(scratch_.begin(), scratch_.begin() + std::ptrdiff_t(others), order_.begin() + std::ptrdiff_t(to));
        return to;
    }

    // Each leaf moves a shape by a share of what its faces lack on average.
    void fill(const std::vector<Node>& nodes, float* leaves) const {
        std::vector<double> count(f_.width);
        for (size_t n = 0; n < nodes.size(); ++n, leaves += f_.width) {
            std::fill(count.begin(), count.end(), f_.whole ? double(nodes[n].end - nodes[n].begin) : 0.0);
            for (size_t i = nodes[n].begin; !f_.whole && i < nodes[n].end; ++i)
                for (size_t j = 0; j < f_.width; ++j) count[j] += knows(order_[i], j);
            for (size_t j = 0; j < f_.width; ++j)
                leaves[j] = count[j] > 0 ? float(r_.nu * nodes[n].sum[j] / count[j]) : 0.0f;
        }
    }
};

void check(const Recipe& r) {
    require(r.cascades >= 1 && r.cascades <= 100 && r.trees >= 1 && r.trees <= 10000 && r.depth >= 1 && r.depth <= 10,
            "1 to 100 cascades of 1 to 10,000 trees, 1 to 10 levels deep, are possible");
    require(r.features >= 2 && r.features <= MOST_FEATURES && r.candidates >= 1 && r.candidates <= 1000,
            "2 to 4096 pixels and 1 to 1000 candidates for each split are possible");
    require(r.nu > 0 && r.nu <= 1 && r.lambda > 0 && r.lambda <= 100 && r.padding > -0.5 && r.padding <= 4,
            "nu must be above 0 and up to 1, lambda above 0 and up to 100, padding above -0.5 and up to 4");
    require(r.threads >= 1 && r.threads <= 1024, "1 to 1024 threads are possible");
}

void check(const Faces& f) {
    require(f.n >= 1 && f.n <= MOST_FACES && f.chips.size() <= MOST_CHIPS,
            "1 to 1,048,576 faces in up to 131,072 pictures are possible");
    for (std::uint32_t chip : f.of_chip) require(chip < f.chips.size(), "of_chip must hold indices of chips");
    for (const auto* values : {&f.targets, &f.starts, &f.mean})
        require(all_within(values->data(), values->size(), 100), "points must lie within 100 boxes");
    require(spread_out(f.mean.data(), f.width / 2), "the points of the mean face must be spread out");
    std::vector<size_t> seen(f.width / 2);
    for (size_t i = 0; i < f.n * seen.size(); ++i) seen[i % seen.size()] += f.known[i] != 0;
    require(*std::min_element(seen.begin(), seen.end()) > 0, "a point that is known in no face");
}

py::ssize_t length(const py::array& array, std::initializer_list<py::ssize_t> rest, const char* message) {
    bool fits = array.ndim() == py::ssize_t(rest.size()) + 1;
    py::ssize_t i = 1;
    for (py::ssize_t n : rest) {
        fits = fits && (n < 0 || array.shape(i) == n);
        ++i;
    }
    require(fits, message);
    return array.shape(0);
}

}  // namespace

py::array_t<std::uint8_t> train_shape_predictor(const py::list& chips, const py::array& of_chip,
                                                const py::array& maps, const py::array& targets, const Bytes& known,
                                                const py::array& starts, const py::array& mean, const Recipe& recipe,
                                                const py::object& report) {
    check(recipe);
    const py::ssize_t points = length(mean, {2}, "mean must have shape (P, 2)");
    require(points >= 2 && points < 2048, "2 to 2047 points are possible");
    const py::ssize_t n = length(targets, {points, 2}, "targets must have shape (N, P, 2), with the mean's points");
    require(length(maps, {2, 3}, "maps must have shape (N, 2, 3)") == n &&
                length(starts, {points, 2}, "starts must have shape (N, P, 2)") == n &&
                length(known, {points}, "known must have shape (N, P)") == n &&
                length(of_chip, {}, "of_chip must have shape (N,)") == n,
            "targets, starts, maps, known and of_chip must be of the same faces");
    require(times(size_t(n), recipe.features) <= MOST_FEATURE_BYTES, "faces times pixels must stay below 4 GiB");
    std::vector<Bytes> owned;  // they must not go away while the lock is
    Faces faces;
    for (const auto& chip : chips) {
        require(py::isinstance<Bytes>(chip), "chips must be uint8 arrays of shape (H, W)");
        owned.push_back(py::cast<Bytes>(chip));
        require(owned.back().ndim() == 2, "chips must be uint8 arrays of shape (H, W)");
        faces.chips.emplace_back(owned.back());
    }
    for (float index : floats(of_chip, "of_chip")) {
        require(index >= 0 && index == std::floor(index), "of_chip must hold indices of chips");
        faces.of_chip.push_back(std::uint32_t(index));
    }
    faces.maps = floats(maps, "maps"), faces.targets = floats(targets, "targets"), faces.mean = floats(mean, "mean");
    faces.starts = floats(starts, "starts");
    const std::vector<std::uint8_t> knows(known.data(), known.data() + known.size());
    faces.known = knows.data();
    faces.n = size_t(n), faces.width = 2 * size_t(points);
    faces.whole = std::all_of(knows.begin(), knows.end(), [](std::uint8_t k) { return k != 0; });
    check(faces);
    std::unique_ptr<std::vector<char>> out;
    {
        py::gil_scoped_release nogil;
        out = Trainer(faces, recipe, report).train();
    }
    return as_block(std::move(out));
}

namespace {

// Numbers as dlib writes them; what Reader of packed.cpp reads.
class Writer {
public:
    std::string text;

    void integer(std::int64_t value) {
        const bool negative = value < 0;
        std::uint64_t magnitude = negative ? std::uint64_t(-value) : std::uint64_t(value);
        char bytes[8];
        int size = 0;
        do {
            bytes[size++] = char(magnitude & 0xFF);
            magnitude >>= 8;
        } while (magnitude);
        text += char(size | (negative ? 0x80 : 0));
        text.append(bytes, size_t(size));
    }

    void real(float value) {
        int exponent = 0;
        std::int64_t mantissa = std::int64_t(std::ldexp(std::frexp(value, &exponent), 24));
        exponent -= 24;
        for (int i = 0; i < 3 && mantissa && (mantissa & 0xFF) == 0; ++i) mantissa >>= 8, exponent += 8;
        integer(mantissa);
        integer(mantissa ? exponent : 0);
    }

    void column(const float* values, size_t n) {
        integer(-std::int64_t(n)), integer(-1);  // negative: of a version with this form
        for (size_t i = 0; i < n; ++i) real(values[i]);
    }
};

}  // namespace

py::bytes unpack_shape_predictor(const Bytes& packed) {
    require(packed.ndim() == 1, "an array of shape (N,) is needed");
    const std::vector<char> block(packed.data(), packed.data() + packed.size());
    Writer out;
    {
        py::gil_scoped_release nogil;
        const Header h = check_packed(block.data(), block.size());
        const Layout lay(h);
        const size_t width = 2 * size_t(h.points);
        out.text.reserve(2 * block.size());
        out.integer(1);
        out.column(reinterpret_cast<const float*>(&block[lay.shape]), width);
        out.integer(h.cascades);
        for (std::uint32_t c = 0; c < h.cascades; ++c) {
            const char* at = &block[lay.first_cascade + c * lay.cascade];
            const Split* split = reinterpret_cast<const Split*>(at);
            const float* leaf = reinterpret_cast<const float*>(at + lay.splits);
            out.integer(h.trees);
            for (std::uint32_t t = 0; t < h.trees; ++t) {
                out.integer(h.leaves - 1);
                for (std::uint32_t i = 0; i + 1 < h.leaves; ++i, ++split)
                    out.integer(split->first), out.integer(split->second), out.real(split->threshold);
                out.integer(h.leaves);
                for (std::uint32_t i = 0; i < h.leaves; ++i, leaf += width) out.column(leaf, width);
            }
        }
        const auto deltas = [&](std::uint32_t c) {
            return reinterpret_cast<const Delta*>(&block[lay.first_features + c * lay.features]);
        };
        out.integer(h.cascades);
        for (std::uint32_t c = 0; c < h.cascades; ++c) {
            out.integer(h.features);
            for (std::uint32_t i = 0; i < h.features; ++i) out.integer(deltas(c)[i].anchor);
        }
        out.integer(h.cascades);
        for (std::uint32_t c = 0; c < h.cascades; ++c) {
            out.integer(h.features);
            for (std::uint32_t i = 0; i < h.features; ++i) out.real(deltas(c)[i].x), out.real(deltas(c)[i].y);
        }
    }
    return py::bytes(out.text);
}

}  // namespace anthropo
