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

PatchNetwork::PatchNetwork(const std::vector<Floats>& weights, const std::vector<Floats>& biases, size_t patch)
    : patch_(patch) {
    const auto fits = [](bool holds) { require(holds, "not the weights of a patch network"); };
    fits(weights.size() >= 3 && weights.size() == biases.size() && patch >= 8 && patch <= 512);
    size_t side = patch, channels = 1, lanes = 1;  // of the layer's input
    for (size_t i = 0; i < weights.size(); ++i) {
        const Floats& w = weights[i];
        const bool convolution = i + 2 < weights.size();
        fits(w.ndim() == (convolution ? 4 : 2) && biases[i].ndim() == 1);
        Layer layer;
        layer.side = convolution ? size_t(w.shape(0)) : 0;
        fits(!convolution || (w.shape(0) == w.shape(1) && w.shape(0) % 2 == 1 && side % 2 == 0));
        const size_t in = size_t(w.shape(w.ndim() - 2)), out = size_t(w.shape(w.ndim() - 1));
        require_finite(w, "the weights of a patch network must be finite");
        require_finite(biases[i], "the weights of a patch network must be finite");
        fits(out >= 1 && out <= 4096 && size_t(biases[i].size()) == out);
        const bool flattens = i + 2 == weights.size();
        fits(in == (flattens ? side * side * channels : channels));
        layer.in = flattens ? side * side * lanes : lanes;
        layer.out = (out + LANES - 1) / LANES * LANES;
        // the rows of the inputs' padding stay zero
        const size_t pixels = size_t(w.size()) / (channels * out);
        layer.weights.assign(pixels * lanes * layer.out, 0.0f);
        for (size_t p = 0; p < pixels; ++p)
            for (size_t c = 0; c < channels; ++c)
                std::copy_n(w.data() + (p * channels + c) * out, out, &layer.weights[(p * lanes + c) * layer.out]);
        layer.bias.assign(layer.out, 0.0f);
        std::copy_n(biases[i].data(), out, layer.bias.begin());
        if (convolution) side /= 2;
        channels = out, lanes = layer.out;
        layers_.push_back(std::move(layer));
    }
    fits(channels % 2 == 0);
    points_ = channels / 2;
}

py::array_t<double> PatchNetwork::predict(const Bytes& image, const Doubles& maps) const {
    const Image im(image);
    require(im.channels == 1, "a grey image is needed");
    require_shape(maps, {ANY, 2, 3}, "maps must have shape (N, 2, 3)");
    require_finite(maps, "maps must be finite");
    const size_t n = size_t(maps.shape(0)), width = 2 * points_;
    py::array_t<double> out({py::ssize_t(n), py::ssize_t(width / 2), py::ssize_t(2)});
    double* o = out.mutable_data();
    {
        py::gil_scoped_release nogil;
        std::vector<std::uint8_t> patch(patch_ * patch_);
        std::vector<float> now, next, columns;
        for (size_t i = 0; i < n; ++i) {
            interpolate(im.data, im.rows, im.cols, maps.data() + 6 * i, patch.data(), long(patch_), long(patch_));
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
