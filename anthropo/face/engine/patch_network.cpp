#include "patch_network.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "images.hpp"

namespace anthropo {

namespace {

using Layer = PatchNetwork::Layer;

// Several floats at once: a register or two where the compiler has such a type.
constexpr size_t LANES = 16, ROWS = 4;
constexpr size_t MOST_FLOATS = 1 << 24;  // of a layer's weights, inputs or outputs
#if defined(__GNUC__)
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
#else
struct Lanes {
    float value[LANES];
    float& operator[](size_t l) { return value[l]; }
};
inline Lanes operator*(float a, const Lanes& b) {
    Lanes c;
    for (size_t l = 0; l < LANES; ++l) c.value[l] = a * b.value[l];
    return c;
}
inline Lanes& operator+=(Lanes& a, const Lanes& b) {
    for (size_t l = 0; l < LANES; ++l) a.value[l] += b.value[l];
    return a;
}
#endif

// out (m, n) = max(a (m, k) b (k, n) + bias, floor); n is a multiple of LANES
HOT void multiply(const float* a, size_t m, size_t k, const float* b, size_t n, const float* bias, float floor,
                  float* out) {
    for (size_t i = 0; i < m; i += ROWS) {
        const size_t rows = std::min(ROWS, m - i);  // beyond them the last is computed again, not stored
        const float* row[ROWS];
        for (size_t r = 0; r < ROWS; ++r) row[r] = a + (i + std::min(r, rows - 1)) * k;
        for (size_t j = 0; j < n; j += LANES) {
            Lanes start, q;
            std::memcpy(&start, bias + j, sizeof start);
            Lanes s0 = start, s1 = start, s2 = start, s3 = start;
            for (size_t p = 0; p < k; ++p) {
                std::memcpy(&q, b + p * n + j, sizeof q);
                s0 += row[0][p] * q;
                s1 += row[1][p] * q;
                s2 += row[2][p] * q;
                s3 += row[3][p] * q;
            }
            Lanes sums[ROWS] = {s0, s1, s2, s3};
            for (size_t r = 0; r < rows; ++r)
                for (size_t l = 0; l < LANES; ++l) out[(i + r) * n + j + l] = std::max(sums[r][l], floor);
        }
    }
}

std::vector<py::array> arrays(const py::list& items) {
    std::vector<py::array> out;
    for (const py::handle item : items) {
        if (!py::isinstance<py::array>(item)) throw py::type_error("the weights of a patch network must be arrays");
        out.push_back(py::reinterpret_borrow<py::array>(item));
    }
    return out;
}

// exposure and contrast taken out, but noise in a flat patch not blown up
void standardise(const std::vector<std::uint8_t>& patch, std::vector<float>& out) {
    double sum = 0, squares = 0;
    for (std::uint8_t v : patch) sum += v, squares += double(v) * v;
    const double n = double(patch.size()), mean = sum / n;
    const double spread = std::sqrt(std::max(0.0, squares / n - mean * mean)) + 8;
    out.resize(patch.size());
    for (size_t i = 0; i < patch.size(); ++i) out[i] = float((patch[i] - mean) / spread);
}

// the inputs of every output pixel in a row of their own
void gather(const std::vector<float>& in, size_t side, const Layer& layer, std::vector<float>& columns) {
    const long half = long(layer.side / 2), s = long(side), k = long(layer.side), lanes = long(layer.in);
    columns.assign(side / 2 * (side / 2) * size_t(k * k * lanes), 0.0f);
    float* row = columns.data();
    for (long y = 0; y < s; y += 2)
        for (long x = 0; x < s; x += 2, row += k * k * lanes) {
            const long first = std::max(0L, x - half), last = std::min(s, x + half + 1);
            for (long v = std::max(0L, y - half); v < std::min(s, y + half + 1); ++v)
                std::copy(&in[size_t((v * s + first) * lanes)], &in[size_t((v * s + last - 1) * lanes)] + lanes,
                          row + ((v - y + half) * k + first - x + half) * lanes);
        }
}

}  // namespace

PatchNetwork::PatchNetwork(const py::list& all_weights, const py::list& all_biases, size_t patch) : patch_(patch) {
    const auto fits = [](bool holds) { require(holds, "not the weights of a patch network"); };
    fits(all_weights.size() >= 3 && all_weights.size() <= 64 && all_weights.size() == all_biases.size());
    fits(patch >= 8 && patch <= 512);
    const std::vector<py::array> weights = arrays(all_weights), biases = arrays(all_biases);
    size_t side = patch, channels = 1, lanes = 1;  // of the layer's input
    for (size_t i = 0; i < weights.size(); ++i) {
        const py::array& a = weights[i];
        const bool convolution = i + 2 < weights.size();
        fits(a.ndim() == (convolution ? 4 : 2) && biases[i].ndim() == 1);
        Layer layer;
        layer.side = convolution ? size_t(a.shape(0)) : 0;
        fits(!convolution || (a.shape(0) == a.shape(1) && layer.side % 2 == 1 && layer.side <= 15 && side % 2 == 0));
        const size_t in = size_t(a.shape(a.ndim() - 2)), out = size_t(a.shape(a.ndim() - 1));
        fits(out >= 1 && out <= 4096 && size_t(biases[i].size()) == out);
        const bool flattens = i + 2 == weights.size();
        fits(in == (flattens ? side * side * channels : channels));
        layer.in = flattens ? side * side * lanes : lanes;
        layer.out = (out + LANES - 1) / LANES * LANES;
        // no factor is larger than 4096, so that these products can be counted
        const size_t rows = convolution ? layer.side * layer.side * layer.in : layer.in;
        fits(rows * layer.out <= MOST_FLOATS);
        fits(!convolution || (side / 2) * (side / 2) * std::max(rows, layer.out) <= MOST_FLOATS);
        const std::vector<float> w = floats(a, "the weights of a patch network");
        const std::vector<float> bias = floats(biases[i], "the biases of a patch network");
        // the rows of the inputs' padding stay zero
        const size_t pixels = w.size() / (channels * out);
        layer.weights.assign(rows * layer.out, 0.0f);
        for (size_t p = 0; p < pixels; ++p)
            for (size_t c = 0; c < channels; ++c)
                std::copy_n(&w[(p * channels + c) * out], out, &layer.weights[(p * lanes + c) * layer.out]);
        layer.bias.assign(layer.out, 0.0f);
        std::copy(bias.begin(), bias.end(), layer.bias.begin());
        if (convolution) side /= 2;
        channels = out, lanes = layer.out;
        layers_.push_back(std::move(layer));
    }
    fits(channels % 2 == 0);
    points_ = channels / 2;
}

py::array_t<double> PatchNetwork::predict(const Bytes& image, const py::array& maps) const {
    const Image im(image);
    require(im.channels == 1, "a grey image is needed");
    const std::vector<double> map = numbers(maps, {ANY, 2, 3}, "maps");
    const size_t n = map.size() / 6, width = 2 * points_;
    py::array_t<double> out({py::ssize_t(n), py::ssize_t(width / 2), py::ssize_t(2)});
    double* o = out.mutable_data();
    {
        py::gil_scoped_release nogil;
        std::vector<std::uint8_t> patch(patch_ * patch_);
        std::vector<float> now, next, columns;
        for (size_t i = 0; i < n; ++i) {
            interpolate(im.data, im.rows, im.cols, map.data() + 6 * i, patch.data(), long(patch_), long(patch_));
            standardise(patch, now);
            size_t side = patch_;
            for (const Layer& layer : layers_) {
                if (layer.side) {
                    gather(now, side, layer, columns);
                    side /= 2;
                    next.resize(side * side * layer.out);
                    multiply(columns.data(), side * side, layer.side * layer.side * layer.in,
                             layer.weights.data(), layer.out, layer.bias.data(), 0.0f, next.data());
                } else {
                    const bool last = &layer == &layers_.back();
                    next.resize(layer.out);
                    multiply(now.data(), 1, layer.in, layer.weights.data(), layer.out, layer.bias.data(),
                             last ? -1e30f : 0.0f, next.data());
                }
                now.swap(next);
            }
            for (size_t j = 0; j < width; ++j) *o++ = double(now[j]);
        }
    }
    return out;
}

}  // namespace anthropo
