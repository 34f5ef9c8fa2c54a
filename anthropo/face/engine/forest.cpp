#include "forest.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace anthropo {

namespace {

// (x, y) -> (a x - s y, s x + a y) about the middles f and t: the least-squares similarity that lays the
// mean shape on others of its points
struct Similarity {
    double a, s, fx, fy, tx, ty;

    void take(double* matrix) const {  // as (2, 3)
        const double result[6] = {a, -s, tx - a * fx + s * fy, s, a, ty - s * fx - a * fy};
        std::copy(result, result + 6, matrix);
    }
};

template <typename T>
inline Similarity similarity(const float* mean, const T* shape, size_t points) {
    double fx = 0, fy = 0, tx = 0, ty = 0, a = 0, s = 0, norm = 0;
    for (size_t j = 0; j < points; ++j)
        fx += mean[2 * j], fy += mean[2 * j + 1], tx += shape[2 * j], ty += shape[2 * j + 1];
    fx /= double(points), fy /= double(points), tx /= double(points), ty /= double(points);
    for (size_t j = 0; j < points; ++j) {
        const double u = mean[2 * j] - fx, v = mean[2 * j + 1] - fy;
        const double p = shape[2 * j] - tx, q = shape[2 * j + 1] - ty;
        a += u * p + v * q, s += u * q - v * p, norm += u * u + v * v;
    }
    return {a / norm, s / norm, fx, fy, tx, ty};
}

}  // namespace

HOT void read_features(const Image& im, const double* map, const float* mean, const float* shape, size_t points,
                       const Delta* d, size_t n, float* out) {
    const Similarity to = similarity(mean, shape, points);
    const float m00 = float(to.a), m01 = float(-to.s), m10 = float(to.s), m11 = float(to.a);
    for (size_t i = 0; i < n; ++i) {
        const double x = (m00 * d[i].x + m01 * d[i].y) + shape[2 * d[i].anchor];
        const double y = (m10 * d[i].x + m11 * d[i].y) + shape[2 * d[i].anchor + 1];
        const double column = std::floor(map[0] * x + map[1] * y + map[2] + 0.5);
        const double row = std::floor(map[3] * x + map[4] * y + map[5] + 0.5);
        const bool inside = column >= 0 && row >= 0 && column < double(im.cols) && row < double(im.rows);
        out[i] = inside ? float(intensity(im, long(row) * im.cols + long(column))) : 0.0f;
    }
}

namespace {

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) (void)(address)
#endif

// One cascade for all boxes. The features stay the same throughout, so that every tree can be
// walked first (the boxes' walks overlap in time) and the leaves, which lie scattered over
// megabytes, be fetched ahead of their addition. Order of additions per box is dlib's.
HOT void add_forest(const Split* splits, const float* leaves, std::uint32_t trees, std::uint32_t n_leaves,
                    size_t width, const float* features, size_t n_features, float* shapes, size_t boxes) {
    const std::uint32_t n_splits = n_leaves - 1;
    int depth = 0;
    while ((1u << depth) < n_leaves) ++depth;
    std::vector<std::uint32_t> at(boxes * trees, 0);
    for (std::uint32_t t = 0; t < trees; ++t) {
        const Split* tree = splits + size_t(t) * n_splits;
        std::uint32_t* node = at.data() + size_t(t) * boxes;
        for (int level = 0; level < depth; ++level)
            for (size_t k = 0; k < boxes; ++k) {
                const float* f = features + k * n_features;
                const Split s = tree[node[k]];
                node[k] = 2 * node[k] + 2 - std::uint32_t(f[s.first] - f[s.second] > s.threshold);
            }
    }
    constexpr std::uint32_t AHEAD = 2;
    for (std::uint32_t t = 0; t < trees; ++t) {
        if (t + AHEAD < trees)
            for (size_t k = 0; k < boxes; ++k) {
                const std::uint32_t next = at[size_t(t + AHEAD) * boxes + k] - n_splits;
                const float* leaf = leaves + (size_t(t + AHEAD) * n_leaves + next) * width;
                for (size_t j = 0; j < width; j += 16) PREFETCH(leaf + j);
            }
        for (size_t k = 0; k < boxes; ++k) {
            const float* leaf = leaves + (size_t(t) * n_leaves + at[size_t(t) * boxes + k] - n_splits) * width;
            float* shape = shapes + k * width;
            for (size_t j = 0; j < width; ++j) shape[j] += leaf[j];
        }
    }
}

std::vector<double> chip_boxes(const double* jitter, size_t n, const Chip& chip) {
    std::vector<double> boxes;
    for (size_t k = 0; k < n; ++k) {
        const double x = chip.box * (chip.pad + 0.5 + jitter[3 * k]);
        const double y = chip.box * (chip.pad + 0.5 + jitter[3 * k + 1]);
        const double half = chip.box / 2 * jitter[3 * k + 2];
        boxes.insert(boxes.end(), {x - half, y - half, x + half, y + half});
    }
    return boxes;
}

}  // namespace

ShapePredictor::ShapePredictor(Bytes packed) : packed_(std::move(packed)) {
    require(packed_.ndim() == 1 && !packed_.writeable(), "a read-only array of shape (N,) is needed");
    base_ = reinterpret_cast<const char*>(packed_.data());
    require(reinterpret_cast<std::uintptr_t>(base_) % alignof(std::uint64_t) == 0, "the array begins at an odd place");
    {
        py::gil_scoped_release nogil;
        h_ = check_packed(base_, size_t(packed_.size()));
    }
    layout_ = Layout(h_);
    shape_ = reinterpret_cast<const float*>(base_ + layout_.shape);
}

py::array_t<double> ShapePredictor::mean_shape() const {
    py::array_t<double> out({py::ssize_t(h_.points), py::ssize_t(2)});
    std::copy(shape_, shape_ + 2 * h_.points, out.mutable_data());
    return out;
}

py::array_t<double> ShapePredictor::predict(const Bytes& image, const py::array& boxes) const {
    const Image im(image);
    const std::vector<double> b = numbers(boxes, {ANY, 4}, "boxes");
    const size_t n = b.size() / 4;
    py::array_t<double> out({py::ssize_t(n), py::ssize_t(h_.points), py::ssize_t(2)});
    double* o = out.mutable_data();
    {
        py::gil_scoped_release nogil;
        predict_into(im, b.data(), n, o);
    }
    return out;
}

py::tuple ShapePredictor::align(const Bytes& image, const py::array& box, const py::array& jitter,
                                const py::array& mirror, double first_box, double chip_box, double pad,
                                int contrast) const {
    const Image im(image);
    const std::vector<double> b = numbers(box, {4}, "box"), shifts = numbers(jitter, {ANY, 3}, "jitter");
    const std::vector<double> other = numbers(mirror, {long(h_.points)}, "mirror");
    const size_t n = shifts.size() / 3, points = h_.points;
    require(n >= 1, "jitter needs a row");
    for (double j : other)
        require(j >= 0 && j < double(points) && j == std::floor(j), "mirror must hold indices of points");
    Chip::check(first_box, pad, contrast);
    Chip::check(chip_box, pad, contrast);
    py::array_t<double> out({py::ssize_t(2 * n), py::ssize_t(points), py::ssize_t(2)});
    double* o = out.mutable_data();
    std::vector<std::uint8_t> plain;
    long side = 0;
    {
        py::gil_scoped_release nogil;
        const double unit[6] = {b[2] - b[0], 0, b[0], 0, b[3] - b[1], b[1]};
        Chip first(im, unit, first_box, pad);
        first.stretch(contrast);
        std::vector<double> found(2 * points);
        const double upright[3] = {0, 0, 1};
        predict_into(first.image(), chip_boxes(upright, 1, first).data(), 1, found.data());
        for (size_t j = 0; j < points; ++j) first.to_image(&found[2 * j], &found[2 * j]);

        double similar[6];
        similarity(shape_, found.data(), points).take(similar);
        Chip chip(im, similar, chip_box, pad);
        plain = chip.pixels;
        side = chip.side;
        chip.stretch(contrast);
        const std::vector<double> boxes = chip_boxes(shifts.data(), n, chip);
        predict_into(chip.image(), boxes.data(), n, o);
        chip.mirror();
        std::vector<double> mirrored(2 * points * n);
        predict_into(chip.image(), boxes.data(), n, mirrored.data());
        for (size_t k = 0; k < n; ++k)
            for (size_t j = 0; j < points; ++j) {
                const double* p = &mirrored[2 * (k * points + size_t(other[j]))];
                double* q = o + 2 * ((n + k) * points + j);
                q[0] = double(side - 1) - p[0], q[1] = p[1];
            }
        for (size_t j = 0; j < 2 * n * points; ++j) chip.to_image(o + 2 * j, o + 2 * j);
    }
    Bytes aligned({side, side});
    std::memcpy(aligned.mutable_data(), plain.data(), plain.size());
    return py::make_tuple(out, aligned);
}

// Many boxes in turn, so that what is kept for each of them has a limit.
void ShapePredictor::predict_into(const Image& im, const double* b, size_t n, double* o) const {
    constexpr size_t TOGETHER = 64;
    for (size_t k = 0; k < n; k += TOGETHER)
        predict_some(im, b + 4 * k, std::min(TOGETHER, n - k), o + 2 * k * h_.points);
}

void ShapePredictor::predict_some(const Image& im, const double* b, size_t n, double* o) const {
    const size_t width = 2 * size_t(h_.points);
    std::vector<float> shapes(n * width), features(n * h_.features);
    for (size_t k = 0; k < n; ++k) std::copy(shape_, shape_ + width, shapes.data() + k * width);
    for (std::uint32_t c = 0; c < h_.cascades; ++c) {
        for (size_t k = 0; k < n; ++k) {
            const double* box = b + 4 * k;
            const double map[6] = {box[2] - box[0], 0, box[0], 0, box[3] - box[1], box[1]};
            read_features(im, map, shape_, shapes.data() + k * width, h_.points, deltas(c), h_.features,
                          features.data() + k * h_.features);
        }
        add_forest(splits(c), leaves(c), h_.trees, h_.leaves, width, features.data(), h_.features, shapes.data(),
                   n);
    }
    for (size_t k = 0; k < n; ++k) {
        const double* box = b + 4 * k;
        for (size_t j = 0; j < h_.points; ++j) {
            *o++ = box[0] + (box[2] - box[0]) * double(shapes[k * width + 2 * j]);
            *o++ = box[1] + (box[3] - box[1]) * double(shapes[k * width + 2 * j + 1]);
        }
    }
}

}  // namespace anthropo
