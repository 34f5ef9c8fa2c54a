#include "layers.hpp"

#include <algorithm>
#include <cmath>

namespace anthropo {

namespace {

constexpr size_t ROWS = 4;

// out (m, n) = max(a (m, k) b (k, n) + bias, floor); n is a multiple of LANES
//
// Plain loops over arrays of LANES floats, which the compiler turns into the widest registers of each clone. Vector
// types would not do: they are taken apart for the narrowest processor before the clones are made (six times slower).
HOT void multiply(const float* a, size_t m, size_t k, const float* b, size_t n, const float* bias, float floor,
                  float* out) {
    for (size_t i = 0; i < m; i += ROWS) {
        const size_t rows = std::min(ROWS, m - i);  // beyond them the last is computed again, not stored
        const auto row = [=](size_t r) { return a + (i + std::min(r, rows - 1)) * k; };
        const float *a0 = row(0), *a1 = row(1), *a2 = row(2), *a3 = row(3);
        for (size_t j = 0; j < n; j += LANES) {
            float s0[LANES], s1[LANES], s2[LANES], s3[LANES];
            for (size_t l = 0; l < LANES; ++l) s0[l] = s1[l] = s2[l] = s3[l] = bias[j + l];
            for (size_t p = 0; p < k; ++p) {
                const float* q = b + p * n + j;
                const float x0 = a0[p], x1 = a1[p], x2 = a2[p], x3 = a3[p];
                for (size_t l = 0; l < LANES; ++l) {
                    s0[l] += x0 * q[l];
                    s1[l] += x1 * q[l];
                    s2[l] += x2 * q[l];
                    s3[l] += x3 * q[l];
                }
            }
            const float* sums[ROWS] = {s0, s1, s2, s3};
            for (size_t r = 0; r < rows; ++r)
                for (size_t l = 0; l < LANES; ++l) out[(i + r) * n + j + l] = std::max(sums[r][l], floor);
        }
    }
}

// the inputs of every output pixel in a row of their own
void gather(const std::vector<float>& in, size_t side, size_t step, const Layer& layer, std::vector<float>& columns) {
    const long half = long(layer.side / 2), s = long(side), k = long(layer.side), lanes = long(layer.in);
    columns.assign(side / step * (side / step) * size_t(k * k * lanes), 0.0f);
    float* row = columns.data();
    for (long y = 0; y < s; y += long(step))
        for (long x = 0; x < s; x += long(step), row += k * k * lanes) {
            const long first = std::max(0L, x - half), last = std::min(s, x + half + 1);
            for (long v = std::max(0L, y - half); v < std::min(s, y + half + 1); ++v)
                std::copy(&in[size_t((v * s + first) * lanes)], &in[size_t((v * s + last - 1) * lanes)] + lanes,
                          row + ((v - y + half) * k + first - x + half) * lanes);
        }
}

}  // namespace

std::vector<py::array> arrays(const py::list& items) {
    std::vector<py::array> out;
    for (const py::handle item : items) {
        if (!py::isinstance<py::array>(item)) throw py::type_error("the weights of a patch network must be arrays");
        out.push_back(py::reinterpret_borrow<py::array>(item));
    }
    return out;
}

Layer layer_of(const py::array& weights, const py::array& biases, size_t kernel, size_t pixels,
               const std::vector<Channels>& inputs) {
    Layer layer;
    const size_t out = size_t(biases.size());
    size_t channels = 0, room = 0;
    for (const Channels& part : inputs) channels += part.count, room += part.room;
    layer.side = kernel, layer.out = padded(out), layer.in = kernel ? room : pixels * room;
    const std::vector<float> w = floats(weights, "the weights of a patch network");
    const std::vector<float> bias = floats(biases, "the biases of a patch network");
    require(w.size() == pixels * channels * out, "not the weights of a patch network");
    // the rows of the inputs' padding stay zero
    layer.weights.assign(pixels * room * layer.out, 0.0f);
    const float* from = w.data();
    for (size_t p = 0; p < pixels; ++p) {
        size_t row = p * room;
        for (const Channels& part : inputs) {
            for (size_t c = 0; c < part.count; ++c, from += out)
                std::copy_n(from, out, &layer.weights[(row + c) * layer.out]);
            row += part.room;
        }
    }
    layer.bias.assign(layer.out, 0.0f);
    std::copy(bias.begin(), bias.end(), layer.bias.begin());
    return layer;
}

void standardise(const std::vector<std::uint8_t>& patch, std::vector<float>& out) {
    double sum = 0, squares = 0;
    for (std::uint8_t v : patch) sum += v, squares += double(v) * v;
    const double n = double(patch.size()), mean = sum / n;
    const double spread = std::sqrt(std::max(0.0, squares / n - mean * mean)) + 8;
    out.resize(patch.size());
    for (size_t i = 0; i < patch.size(); ++i) out[i] = float((patch[i] - mean) / spread);
}

void convolve(const std::vector<float>& in, size_t side, size_t step, const Layer& layer, float floor,
              std::vector<float>& columns, std::vector<float>& out) {
    gather(in, side, step, layer, columns);
    const size_t pixels = side / step * (side / step);
    out.resize(pixels * layer.out);
    multiply(columns.data(), pixels, layer.side * layer.side * layer.in, layer.weights.data(), layer.out,
             layer.bias.data(), floor, out.data());
}

void connect(const std::vector<float>& in, const Layer& layer, float floor, std::vector<float>& out) {
    out.resize(layer.out);
    multiply(in.data(), 1, layer.in, layer.weights.data(), layer.out, layer.bias.data(), floor, out.data());
}

}  // namespace anthropo
