#include "patch_network.hpp"

#include <algorithm>

#include "images.hpp"

namespace anthropo {

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
        const size_t kernel = convolution ? size_t(a.shape(0)) : 0;
        fits(!convolution || (a.shape(0) == a.shape(1) && kernel % 2 == 1 && kernel <= 15 && side % 2 == 0));
        const size_t in = size_t(a.shape(a.ndim() - 2)), out = size_t(a.shape(a.ndim() - 1));
        fits(out >= 1 && out <= 4096 && size_t(biases[i].size()) == out);
        const bool flattens = i + 2 == weights.size();
        fits(in == (flattens ? side * side * channels : channels));
        // no factor is larger than 4096, so that these products can be counted
        const size_t pixels = convolution ? kernel * kernel : flattens ? side * side : 1;
        const size_t rows = pixels * lanes;
        fits(rows * padded(out) <= MOST_FLOATS);
        fits(!convolution || (side / 2) * (side / 2) * std::max(rows, padded(out)) <= MOST_FLOATS);
        layers_.push_back(layer_of(a, biases[i], kernel, pixels, {{channels, lanes}}));
        if (convolution) side /= 2;
        channels = out, lanes = padded(out);
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
                    convolve(now, side, 2, layer, 0.0f, columns, next);
                    side /= 2;
                } else {
                    connect(now, layer, &layer == &layers_.back() ? ANY_VALUE : 0.0f, next);
                }
                now.swap(next);
            }
            for (size_t j = 0; j < width; ++j) *o++ = double(now[j]);
        }
    }
    return out;
}

}  // namespace anthropo
