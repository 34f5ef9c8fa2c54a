// Images of the engine: reduced, warped, and faces cut out upright.

#pragma once

#include <vector>

#include "arrays.hpp"

namespace anthropo {

struct Image {
    const std::uint8_t* data;
    long rows, cols, channels;

    Image(const std::uint8_t* grey, long rows, long cols) : data(grey), rows(rows), cols(cols), channels(1) {}

    explicit Image(const Bytes& a) {
        require(a.ndim() == 2 || (a.ndim() == 3 && a.shape(2) == 3),
                "an image must be a uint8 array of shape (H, W) or (H, W, 3)");
        data = a.data();
        rows = a.shape(0);
        cols = a.shape(1);
        channels = a.ndim() == 3 ? 3 : 1;
        require(rows > 0 && cols > 0, "the image has no pixels");
        require(rows <= LONGEST_SIDE && cols <= LONGEST_SIDE && rows <= MOST_PIXELS / cols,
                "an image of at most 536 megapixels is possible");
    }
};

// dlib reads a colour pixel's intensity as (r + g + b) / 3; keeping to it keeps our landmarks
// equal to dlib's on the same photo.
inline unsigned intensity(const Image& im, long i) {
    if (im.channels == 1) return im.data[i];
    const std::uint8_t* p = im.data + 3 * i;
    return (unsigned(p[0]) + p[1] + p[2]) / 3;
}

// Bilinear samples of an image at map (x, y, 1); black outside.
void interpolate(const std::uint8_t* image, long rows, long cols, const double* map, std::uint8_t* out,
                 long height, long width);

// A square grey picture of an aligned face: an inner box of `box` pixels and `pad` boxes around it.
struct Chip {
    long side;
    double box, pad;
    double map[6];  // chip pixel to image pixel
    std::vector<std::uint8_t> pixels;

    // `unit` takes the box (0, 0) to (1, 1) to image pixels
    Chip(const Image& im, const double* unit, double box, double pad);

    Image image() const { return Image(pixels.data(), side, side); }

    void to_image(const double* p, double* out) const {
        const double x = p[0], y = p[1];  // p and out may be the same
        out[0] = map[0] * x + map[1] * y + map[2];
        out[1] = map[3] * x + map[4] * y + map[5];
    }

    // Spreads the inner box over at least `range` grey levels. The predictor compares grey values
    // with fixed thresholds, so that a dark photo defeats it: at a quarter of the exposure its
    // error grows by 60 %; stretched first, it is unchanged.
    void stretch(int range);

    void mirror();

    // refuses sizes that no chip may have
    static void check(double box, double pad, int contrast);
};

// what Python calls; described in module.cpp
Bytes shrink(const Bytes& image, long factor);
Bytes chip(const Bytes& image, const py::array& unit, double box, double pad, int contrast);
Bytes warp(const Bytes& image, const py::array& matrix, long height, long width);

}  // namespace anthropo
