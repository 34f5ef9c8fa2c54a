#include "cover_network.hpp"

#include <algorithm>
#include <cmath>

#include "images.hpp"

namespace anthropo {

namespace {

// every pixel of `in` four times, each time followed by the pixel of `beside` that lies there
void widen(const std::vector<float>& in, size_t side, size_t lanes, const std::vector<float>& beside, size_t others,
           std::vector<float>& out) {
    out.resize(4 * side * side * (lanes + others));
    float* o = out.data();
    for (size_t y = 0; y < 2 * side; ++y)
        for (size_t x = 0; x < 2 * side; ++x) {
            o = std::copy_n(&in[(y / 2 * side + x / 2) * lanes], lanes, o);
            o = std::copy_n(&beside[(y * 2 * side + x) * others], others, o);
        }
}

}  // namespace

CoverNetwork::CoverNetwork(const py::list& all_weights, const py::list& all_biases, size_t down, size_t side)
    : side_(side) {
    const auto fits = [](bool holds) { require(holds, "not the weights of a cover network"); };
    fits(down >= 2 && down <= 8 && all_weights.size() >= down + 3 && all_weights.size() <= 2 * down + 1);
    fits(all_weights.size() == all_biases.size() && side >= 8 && side <= 512 && side % (size_t(1) << down) == 0);
    const std::vector<py::array> weights = arrays(all_weights), biases = arrays(all_biases);
    std::vector<Channels> inputs = {{3, 3}};
    std::vector<Channels> kept;  // of each step down
    size_t now = side;
    for (size_t i = 0; i < weights.size(); ++i) {
        const py::array& a = weights[i];
        fits(a.ndim() == 4 && biases[i].ndim() == 1 && a.shape(0) == a.shape(1));
        const size_t kernel = size_t(a.shape(0)), in = size_t(a.shape(2)), out = size_t(a.shape(3));
        fits(kernel % 2 == 1 && kernel <= 15 && out >= 1 && out <= 4096 && size_t(biases[i].size()) == out);
        size_t channels = 0, room = 0;
        for (const Channels& part : inputs) channels += part.count, room += part.room;
        fits(in == channels);
        const size_t reached = i < down ? now / 2 : now;
        // no factor is larger than 8192, so that these products can be counted
        fits(kernel * kernel * room * padded(out) <= MOST_FLOATS);
        fits(reached * reached * std::max(kernel * kernel * room, padded(out)) <= MOST_FLOATS);
        Layer layer = layer_of(a, biases[i], kernel, kernel * kernel, inputs);
        const Channels output = {out, padded(out)};
        if (i < down) {
            kept.push_back(output);
            down_.push_back(std::move(layer));
        } else if (i == down || i + 1 == weights.size()) {
            ends_.push_back(std::move(layer));
        } else {
            up_.push_back(std::move(layer));
        }
        now = reached;
        inputs = {output};
        if (i >= down && i + 2 < weights.size()) {  // a step up is next
            now *= 2;
            inputs.push_back(kept[down - 2 - (i - down)]);
        }
        if (i + 1 == weights.size()) {
            block_ = size_t(std::lround(std::sqrt(double(out))));
            fits(block_ * block_ == out);
        }
    }
    reached_ = now;
    fits(map_side() <= 4096);
}

py::array_t<float> CoverNetwork::predict(const Bytes& picture) const {
    const Image im(picture);
    require(im.channels == 3 && size_t(im.rows) == side_ && size_t(im.cols) == side_,
            "a square picture in colour, of the network's size, is needed");
    py::array_t<float> out({py::ssize_t(map_side()), py::ssize_t(map_side())});
    float* o = out.mutable_data();
    std::vector<std::uint8_t> pixels(im.data, im.data + 3 * side_ * side_);
    {
        py::gil_scoped_release nogil;
        std::vector<float> now, next, columns;
        std::vector<std::vector<float>> kept;
        standardise(pixels, now);
        size_t side = side_;
        for (const Layer& layer : down_) {
            convolve(now, side, 2, layer, 0.0f, columns, next);
            side /= 2;
            now.swap(next);
            kept.push_back(now);
        }
        convolve(now, side, 1, ends_.front(), 0.0f, columns, next);
        now.swap(next);
        size_t lanes = ends_.front().out;
        for (size_t i = 0; i < up_.size(); ++i) {
            const size_t from = down_.size() - 2 - i;
            widen(now, side, lanes, kept[from], down_[from].out, next);
            side *= 2;
            convolve(next, side, 1, up_[i], 0.0f, columns, now);
            lanes = up_[i].out;
        }
        const Layer& last = ends_.back();
        convolve(now, side, 1, last, ANY_VALUE, columns, next);
        for (size_t y = 0; y < side * block_; ++y)
            for (size_t x = 0; x < side * block_; ++x) {
                const float logit = next[(y / block_ * side + x / block_) * last.out + y % block_ * block_ + x % block_];
                *o++ = 1.0f / (1.0f + std::exp(-logit));
            }
    }
    return out;
}

}  // namespace anthropo
