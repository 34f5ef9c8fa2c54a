#include "images.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace anthropo {

namespace {

HOT void sum_rows(const Image& im, long r, long c0, long n, std::uint32_t* acc) {
    if (im.channels == 1) {
        const std::uint8_t* p = im.data + r * im.cols + c0;
        for (long c = 0; c < n; ++c) acc[c] += p[c];
    } else {
        const std::uint8_t* p = im.data + 3 * (r * im.cols + c0);
        for (long c = 0; c < n; ++c)
            acc[c] += (std::uint32_t(p[3 * c]) + p[3 * c + 1] + p[3 * c + 2]) / 3;
    }
}

// The same of blocks of 2^power pixels a side, without a division.
HOT void block_means_of_two(const std::uint32_t* acc, long cols, int power, std::uint8_t* out) {
    const long factor = 1L << power;
    const std::uint32_t half = power ? 1u << (2 * power - 1) : 0u;
    for (long c = 0; c < cols; ++c) {
        std::uint32_t s = half;
        for (long k = 0; k < factor; ++k) s += acc[c * factor + k];
        out[c] = std::uint8_t(s >> (2 * power));
    }
}

// Means of one row of blocks from the sums of its columns. Sum holds a block's area times 255.
template <typename Sum>
void block_means(const std::uint32_t* acc, long cols, long factor, std::uint8_t* out) {
    const Sum area = Sum(factor) * Sum(factor);
    for (long c = 0; c < cols; ++c) {
        Sum s = 0;
        for (long k = 0; k < factor; ++k) s += acc[c * factor + k];
        out[c] = std::uint8_t((s + area / 2) / area);
    }
}

// Mean over factor x factor blocks of the window, as grey. Blocks that do not fit are dropped.
void shrink_window(const Image& im, long r0, long c0, long rows, long cols, long factor,
                   std::vector<std::uint8_t>& out) {
    out.resize(size_t(rows) * cols);
    std::vector<std::uint32_t> acc(size_t(cols) * factor);  // of up to LONGEST_SIDE times 255
    int power = 0;
    while (power < 8 && 2L << power <= factor) ++power;
    for (long r = 0; r < rows; ++r) {
        std::fill(acc.begin(), acc.end(), 0u);
        for (long k = 0; k < factor; ++k) sum_rows(im, r0 + r * factor + k, c0, cols * factor, acc.data());
        std::uint8_t* o = out.data() + r * cols;
        if (factor == 1L << power)
            block_means_of_two(acc.data(), cols, power, o);
        else if (factor <= 4096)
            block_means<std::uint32_t>(acc.data(), cols, factor, o);
        else
            block_means<std::uint64_t>(acc.data(), cols, factor, o);
    }
}

// [first, last) of the x in [0, n) with least <= start + x * step < end; values of x beside it are not so
struct Run {
    long first, last;

    Run(std::int64_t start, std::int64_t step, std::int64_t least, std::int64_t end, long n) : first(0), last(n) {
        const auto up = [](std::int64_t a, std::int64_t b) { return a / b + (a % b > 0); };  // a / b, b > 0
        std::int64_t a = 0, b = n;
        if (step > 0)
            a = up(least - start, step), b = up(end - start, step);
        else if (step < 0)
            a = up(start - end + 1, -step), b = up(start - least + 1, -step);
        else if (start < least || start >= end)
            b = 0;
        first = long(std::min<std::int64_t>(std::max<std::int64_t>(a, 0), n));
        last = long(std::min<std::int64_t>(std::max<std::int64_t>(b, first), n));
    }
};

}  // namespace

HOT void interpolate(const std::uint8_t* image, long rows, long cols, const double* map, std::uint8_t* out,
                     long height, long width) {
    // positions in 1/65536 px: integer steps make the inner loop cheap, and exact on every machine
    const auto fixed = [](double v) { return std::int64_t(std::llround(v * 65536.0)); };
    const std::int64_t du = fixed(map[0]), dv = fixed(map[3]);
    const std::int64_t end_u = (std::int64_t(cols) << 16) - 32768, end_v = (std::int64_t(rows) << 16) - 32768;
    const std::int64_t max_u = std::int64_t(cols - 1) << 16, max_v = std::int64_t(rows - 1) << 16;
    for (long y = 0; y < height; ++y) {
        std::int64_t u = fixed(map[1] * y + map[2]), v = fixed(map[4] * y + map[5]);
        // most of a chip lies where nothing has to be asked
        const Run in_u(u, du, 0, max_u, width), in_v(v, dv, 0, max_v, width);
        const long first = std::max(in_u.first, in_v.first), last = std::min(in_u.last, in_v.last);
        for (long x = 0; x < width; ++x, u += du, v += dv) {
            if (x == first)
                for (; x < last; ++x, u += du, v += dv) {
                    const std::uint8_t* p = image + (v >> 16) * cols + (u >> 16);
                    const int a = int(u & 65535) >> 5, b = int(v & 65535) >> 5;
                    const int top = p[0] * (2048 - a) + p[1] * a, bottom = p[cols] * (2048 - a) + p[cols + 1] * a;
                    *out++ = std::uint8_t((top * (2048 - b) + bottom * b + (1 << 21)) >> 22);
                }
            if (x == width) break;
            if (u < -32768 || v < -32768 || u >= end_u || v >= end_v) {
                *out++ = 0;
                continue;
            }
            const std::int64_t cu = std::min(std::max<std::int64_t>(u, 0), max_u);
            const std::int64_t cv = std::min(std::max<std::int64_t>(v, 0), max_v);
            const int a = int(cu & 65535) >> 5, b = int(cv & 65535) >> 5;  // 0 to 2047
            const std::uint8_t* p = image + (cv >> 16) * cols + (cu >> 16);
            const std::uint8_t* q = cv < max_v ? p + cols : p;
            const int right = cu < max_u ? 1 : 0;
            const int top = p[0] * (2048 - a) + p[right] * a, bottom = q[0] * (2048 - a) + q[right] * a;
            *out++ = std::uint8_t((std::int64_t(top) * (2048 - b) + std::int64_t(bottom) * b + (1 << 21)) >> 22);
        }
    }
}

namespace {

// chip(x, y) = image(M (x, y, 1)), bilinear, black outside. When the chip is coarser than the
// image, whole blocks are averaged first so that fine texture does not alias.
void warp_into(const Image& im, const double* m, long height, long width, std::uint8_t* out) {
    // the window of the image that the chip covers, in image pixels
    double lo_x = 1e300, lo_y = 1e300, hi_x = -1e300, hi_y = -1e300;
    bool countable = true;  // not so for a face that landmarks of a strange model put beyond all photos
    for (int corner = 0; corner < 4; ++corner) {
        const double x = (corner & 1) ? width - 1 : 0, y = (corner & 2) ? height - 1 : 0;
        const double u = m[0] * x + m[1] * y + m[2], v = m[3] * x + m[4] * y + m[5];
        lo_x = std::min(lo_x, u), hi_x = std::max(hi_x, u);
        lo_y = std::min(lo_y, v), hi_y = std::max(hi_y, v);
        countable = countable && std::abs(u) < 1e13 && std::abs(v) < 1e13;
    }
    for (int i = 0; i < 6; ++i) countable = countable && sane(m[i]);
    if (!countable) {
        std::memset(out, 0, size_t(height) * width);
        return;
    }
    const double scale = std::sqrt(std::abs(m[0] * m[4] - m[1] * m[3]));
    const long f = std::max(1L, long(std::floor(scale + 1e-9)));
    const auto clamp = [](double v, long hi) { return long(std::min(std::max(v, 0.0), double(hi))); };
    const long c0 = clamp(std::floor(lo_x) - 2 * f, im.cols), c1 = clamp(std::ceil(hi_x) + 2 * f + 1, im.cols);
    const long r0 = clamp(std::floor(lo_y) - 2 * f, im.rows), r1 = clamp(std::ceil(hi_y) + 2 * f + 1, im.rows);
    const long cols = (c1 - c0) / f, rows = (r1 - r0) / f;
    if (cols < 1 || rows < 1) {
        std::memset(out, 0, size_t(height) * width);
        return;
    }
    std::vector<std::uint8_t> small;
    shrink_window(im, r0, c0, rows, cols, f, small);
    // image pixel p is small pixel (p - origin + 0.5) / f - 0.5
    const double k = 1.0 / f, ox = (0.5 - c0) * k - 0.5, oy = (0.5 - r0) * k - 0.5;
    const double map[6] = {m[0] * k, m[1] * k, m[2] * k + ox, m[3] * k, m[4] * k, m[5] * k + oy};
    interpolate(small.data(), rows, cols, map, out, height, width);
}

}  // namespace

Chip::Chip(const Image& im, const double* unit, double box, double pad)
    : side(long(box * (1 + 2 * pad))), box(box), pad(pad), pixels(size_t(side) * side) {
    for (int r = 0; r < 2; ++r) {
        const double a = unit[3 * r], b = unit[3 * r + 1];
        map[3 * r] = a / box, map[3 * r + 1] = b / box, map[3 * r + 2] = unit[3 * r + 2] - (a + b) * pad;
    }
    warp_into(im, map, side, side, pixels.data());
}

void Chip::stretch(int range) {
    const long margin = std::lround(box * pad);
    std::uint32_t count[256] = {};
    for (long y = margin; y < side - margin; ++y)
        for (long x = margin; x < side - margin; ++x) ++count[pixels[size_t(y) * side + x]];
    const double total = double(side - 2 * margin) * double(side - 2 * margin);
    int low = 0, high = 255;
    double sum = 0;
    while (low < 255 && (sum += count[low]) < 0.01 * total) ++low;
    sum = 0;
    while (high > 0 && (sum += count[high]) < 0.01 * total) --high;
    const double gain = double(range) / std::max(1, high - low);
    if (gain <= 1) return;
    std::uint8_t table[256];
    for (int i = 0; i < 256; ++i)
        table[i] = std::uint8_t(std::min(std::max((i - (low + high) / 2.0) * gain + 127.5, 0.0), 255.0));
    for (auto& v : pixels) v = table[v];
}

void Chip::mirror() {
    for (long y = 0; y < side; ++y) {
        const auto row = pixels.begin() + y * side;
        std::reverse(row, row + side);
    }
}

void Chip::check(double box, double pad, int contrast) {
    require(box >= 8 && box <= 4096 && pad >= 0 && pad <= 4 && box * (1 + 2 * pad) <= 8192,
            "chips of 8 to 4096 px, padded by 0 to 4 boxes and then of 8192 px at most, are possible");
    require(contrast >= 0 && contrast <= 255, "contrast must be 0 to 255 grey levels");
}

Bytes chip(const Bytes& image, const py::array& unit, double box, double pad, int contrast) {
    const std::vector<double> u = numbers(unit, {2, 3}, "unit");
    Chip::check(box, pad, contrast);
    const Image im(image);
    std::vector<std::uint8_t> pixels;
    long side = 0;
    {
        py::gil_scoped_release nogil;
        Chip made(im, u.data(), box, pad);
        made.stretch(contrast);
        side = made.side;
        pixels.swap(made.pixels);
    }
    Bytes result({side, side});
    std::memcpy(result.mutable_data(), pixels.data(), pixels.size());
    return result;
}

Bytes shrink(const Bytes& image, long factor) {
    require(factor >= 1, "factor must be at least 1");
    const Image im(image);
    const long rows = im.rows / factor, cols = im.cols / factor;
    require(rows > 0 && cols > 0, "the image is smaller than one block");
    std::vector<std::uint8_t> out;
    {
        py::gil_scoped_release nogil;
        shrink_window(im, 0, 0, rows, cols, factor, out);
    }
    Bytes result({rows, cols});
    std::memcpy(result.mutable_data(), out.data(), out.size());
    return result;
}

Bytes warp(const Bytes& image, const py::array& matrix, long height, long width) {
    const std::vector<double> m = numbers(matrix, {2, 3}, "matrix");
    require(height > 0 && width > 0, "the chip must have pixels");
    require(height <= LONGEST_SIDE && width <= LONGEST_SIDE && height <= MOST_PIXELS / width,
            "a chip of at most 536 megapixels is possible");
    const Image im(image);
    Bytes result({height, width});
    std::uint8_t* out = result.mutable_data();
    {
        py::gil_scoped_release nogil;
        warp_into(im, m.data(), height, width, out);
    }
    return result;
}

}  // namespace anthropo
