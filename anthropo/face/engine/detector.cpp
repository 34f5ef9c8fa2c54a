#include "detector.hpp"

#include <dlib/image_processing/frontal_face_detector.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "images.hpp"
#include "packed.hpp"

namespace anthropo {

namespace {

using Scanner = dlib::scan_fhog_pyramid<dlib::pyramid_down<6>>;
using Planes = dlib::array<dlib::array2d<float>>;  // the features of one pyramid level

struct View {  // the filters of one view of a face
    double threshold = 0;
    std::vector<std::vector<std::vector<float>>> rows, cols;  // by plane, then one after the other
};

// A packed detector: this, then for each view its threshold (double) and its number of filters on each plane
// (32 bits each), then for each filter its row and its column (floats); filled up to a multiple of 64 bytes.
struct Head {
    char magic[8];
    std::uint64_t checksum;  // of the whole block, with zero in this place
    double overlap, covered;
    std::uint32_t window_width, window_height, cell, padding, least_width, least_height, levels, views;
};
static_assert(sizeof(Head) == 64, "the packed header is 64 bytes");

constexpr char MAGIC[8] = {'a', 'n', 't', 'h', 'f', 'd', '0', '2'};
constexpr float MOST_WEIGHT = 1e4f;

template <typename T>
void put(std::string& out, const T* values, size_t n) {
    out.append(reinterpret_cast<const char*>(values), n * sizeof(T));
}

// out[i] (+)= sum_k taps[k] * in[i + k * step]
HOT void correlate(const float* in, long n, const float* taps, long n_taps, long step, float* out, bool add) {
    constexpr long BLOCK = 64;
    for (long start = 0; start < n; start += BLOCK) {
        const long m = std::min(BLOCK, n - start);
        float sum[BLOCK] = {};
        if (m == BLOCK) {
            for (long k = 0; k < n_taps; ++k) {
                const float* p = in + start + k * step;
                const float w = taps[k];
                for (long i = 0; i < BLOCK; ++i) sum[i] += w * p[i];
            }
        } else {
            for (long k = 0; k < n_taps; ++k)
                for (long i = 0; i < m; ++i) sum[i] += taps[k] * in[start + k * step + i];
        }
        float* o = out + start;
        if (add)
            for (long i = 0; i < m; ++i) o[i] += sum[i];
        else
            for (long i = 0; i < m; ++i) o[i] = sum[i];
    }
}

}  // namespace

struct FaceDetector::Filters {
    Scanner scanner;
    dlib::test_box_overlap overlap;
    std::vector<View> views;

    Filters(const std::uint8_t* packed, size_t size) {
        require(size >= sizeof(Head) && size % 64 == 0, "bad length");
        Head head;
        std::memcpy(&head, packed, sizeof head);
        require(std::memcmp(head.magic, MAGIC, sizeof MAGIC) == 0, "bad beginning");
        Head blank = head;
        blank.checksum = 0;
        Checksum sum;
        sum.add(&blank, sizeof blank);
        sum.add(packed + sizeof head, size - sizeof head);
        require(sum.value() == head.checksum, "bad checksum");
        configure(head);

        const std::uint8_t *at = packed + sizeof head, *end = packed + size;
        const auto take = [&](void* out, size_t n) {
            require(n <= size_t(end - at), "it ends too early");
            std::memcpy(out, at, n);
            at += n;
        };
        const size_t planes = scanner.get_feature_extractor().get_num_planes();
        const auto filter = [&](size_t length) {
            std::vector<float> taps(length);
            take(taps.data(), length * sizeof(float));
            require(all_within(taps.data(), length, MOST_WEIGHT), "bad filter");
            return taps;
        };
        views.resize(head.views);
        for (View& view : views) {
            std::vector<std::uint32_t> counts(planes);
            take(&view.threshold, sizeof view.threshold);
            take(counts.data(), planes * sizeof counts[0]);
            require(sane(view.threshold), "bad threshold");
            view.rows.resize(planes), view.cols.resize(planes);
            for (size_t p = 0; p < planes; ++p) {
                require(counts[p] <= std::min(height(), width()), "bad number of filters");
                for (std::uint32_t t = 0; t < counts[p]; ++t) {
                    view.rows[p].push_back(filter(size_t(width())));
                    view.cols[p].push_back(filter(size_t(height())));
                }
            }
        }
        require(end - at < 64, "bytes behind its end");
    }

    long height() const { return long(scanner.get_fhog_window_height()); }
    long width() const { return long(scanner.get_fhog_window_width()); }

    void configure(const Head& h) {
        const auto within = [](unsigned long n, unsigned long least, unsigned long most) {
            require(n >= least && n <= most, "bad sizes");
        };
        within(h.window_width, 8, 512);
        within(h.window_height, 8, 512);
        within(h.cell, 4, 64);
        within(h.padding, 0, 16);
        within(h.least_width, 8, 1 << 20);
        within(h.least_height, 8, 1 << 20);
        within(h.levels, 1, 1 << 20);
        within(h.views, 1, 64);
        require(h.overlap >= 0 && h.overlap <= 1 && h.covered >= 0 && h.covered <= 1, "bad overlap");
        scanner.set_detection_window_size(h.window_width, h.window_height);
        scanner.set_cell_size(h.cell);
        scanner.set_padding(h.padding);
        scanner.set_min_pyramid_layer_size(h.least_width, h.least_height);
        scanner.set_max_pyramid_levels(h.levels);
        overlap = dlib::test_box_overlap(h.overlap, h.covered);
        within(std::min(height(), width()), 2 * h.padding + 1, 512);
    }

    template <typename Pixel>
    void pyramid(const Image& im, dlib::array<Planes>& levels, unsigned long max_levels) const {
        dlib::array2d<Pixel> img(im.rows, im.cols);
        static_assert(sizeof(dlib::rgb_pixel) == 3, "rgb_pixel must be packed");
        std::memcpy(&img[0][0], im.data, size_t(im.rows) * im.cols * sizeof(Pixel));
        dlib::impl::create_fhog_pyramid<dlib::pyramid_down<6>>(
            img, scanner.get_feature_extractor(), levels, int(scanner.get_cell_size()), int(height()), int(width()),
            scanner.get_min_pyramid_layer_width(), scanner.get_min_pyramid_layer_height(),
            std::min(max_levels, scanner.get_max_pyramid_levels()));
    }

    // Adds every window of one pyramid level that one view's filters score above the threshold.
    void scan(const Planes& feats, unsigned long level, unsigned long index, double threshold,
              std::vector<dlib::rect_detection>& out) const {
        const View& view = views[index];
        if (feats.size() != view.rows.size()) return;  // dlib gives no features of a few pixels
        const long rows = feats[0].nr(), cols = feats[0].nc(), height = this->height(), width = this->width();
        if (rows < height || cols < width) return;
        const long n = rows * cols, across = n - (width - 1), down = across - (height - 1) * cols;
        std::vector<float> scratch(n), score(n, 0.0f);
        for (unsigned long p = 0; p < view.rows.size(); ++p)
            for (unsigned long t = 0; t < view.rows[p].size(); ++t) {
                // rows laid end to end: sums that run over a row's end land where no window fits
                correlate(&feats[p][0][0], across, view.rows[p][t].data(), width, 1, scratch.data(), false);
                correlate(scratch.data(), down, view.cols[p][t].data(), height, cols, score.data(), true);
            }
        const long padding = long(scanner.get_padding());
        dlib::pyramid_down<6> pyramid;
        for (long r = 0; r + height <= rows; ++r)
            for (long c = 0; c + width <= cols; ++c) {
                const double excess = double(score[r * cols + c]) - view.threshold;
                if (!(excess >= threshold)) continue;
                const dlib::point centre(c + width / 2, r + height / 2);
                const dlib::rectangle cells = dlib::centered_rect(centre, height - 2 * padding, width - 2 * padding);
                dlib::rect_detection d;
                d.detection_confidence = excess;
                d.weight_index = index;
                d.rect = pyramid.rect_up(
                    scanner.get_feature_extractor().feats_to_image(cells, int(scanner.get_cell_size()), int(height),
                                                                   int(width)),
                    level);
                out.push_back(d);
            }
    }
};

py::array_t<std::uint8_t> FaceDetector::pack() {
    std::string out;
    {
        py::gil_scoped_release nogil;
        const dlib::frontal_face_detector d = dlib::get_frontal_face_detector();
        const Scanner& scanner = d.get_scanner();
        Head head{};
        std::memcpy(head.magic, MAGIC, sizeof MAGIC);
        head.overlap = d.get_overlap_tester().get_iou_thresh();
        head.covered = d.get_overlap_tester().get_percent_covered_thresh();
        head.window_width = std::uint32_t(scanner.get_detection_window_width());
        head.window_height = std::uint32_t(scanner.get_detection_window_height());
        head.cell = std::uint32_t(scanner.get_cell_size());
        head.padding = std::uint32_t(scanner.get_padding());
        head.least_width = std::uint32_t(scanner.get_min_pyramid_layer_width());
        head.least_height = std::uint32_t(scanner.get_min_pyramid_layer_height());
        head.levels = std::uint32_t(scanner.get_max_pyramid_levels());
        head.views = std::uint32_t(d.num_detectors());
        put(out, &head, 1);
        for (unsigned long i = 0; i < d.num_detectors(); ++i) {
            const auto& w = d.get_processed_w(i);
            const auto& filters = w.get_detect_argument();
            const double threshold = w.w(w.w.size() - 1);
            put(out, &threshold, 1);
            for (const auto& plane : filters.row_filters) {
                const std::uint32_t n = std::uint32_t(plane.size());
                put(out, &n, 1);
            }
            for (size_t p = 0; p < filters.row_filters.size(); ++p)
                for (size_t t = 0; t < filters.row_filters[p].size(); ++t) {
                    const auto &row = filters.row_filters[p][t], &col = filters.col_filters[p][t];
                    put(out, row.begin(), size_t(row.size()));
                    put(out, col.begin(), size_t(col.size()));
                }
        }
        out.resize((out.size() + 63) / 64 * 64);
        Checksum sum;
        sum.add(out.data(), out.size());
        head.checksum = sum.value();
        std::memcpy(&out[0], &head, sizeof head);
    }
    py::array_t<std::uint8_t> result{py::ssize_t(out.size())};
    std::memcpy(result.mutable_data(), out.data(), out.size());
    return result;
}

FaceDetector::FaceDetector(const Bytes& packed) {
    try {
        require(packed.ndim() == 1, "bad shape");
        filters_ = std::make_shared<const Filters>(packed.data(), size_t(packed.size()));
    } catch (const std::exception& e) {
        throw std::invalid_argument(std::string("not a packed face detector: ") + e.what());
    }
}

py::array_t<double> FaceDetector::detect(const Bytes& image, double threshold, unsigned long max_levels) const {
    const Image im(image);
    require(max_levels >= 1, "max_levels must be at least 1");
    // below, most of a photo would be a face, and comparing them all would take forever
    require(threshold >= -1 && sane(threshold), "the threshold must be a number of −1 or more");
    std::vector<dlib::rect_detection> found;
    {
        py::gil_scoped_release nogil;
        dlib::array<Planes> levels;
        if (im.channels == 1)
            filters_->pyramid<unsigned char>(im, levels, max_levels);
        else
            filters_->pyramid<dlib::rgb_pixel>(im, levels, max_levels);
        std::vector<dlib::rect_detection> all;
        for (unsigned long level = 0; level < levels.size(); ++level)
            for (unsigned long view = 0; view < filters_->views.size(); ++view)
                filters_->scan(levels[level], level, view, threshold, all);
        // non-maximum suppression over all views, best first, as dlib does it
        std::sort(all.rbegin(), all.rend());
        for (const auto& d : all) {
            bool hidden = false;
            for (const auto& k : found) hidden = hidden || filters_->overlap(k.rect, d.rect);
            if (!hidden) found.push_back(d);
        }
    }
    py::array_t<double> rows({py::ssize_t(found.size()), py::ssize_t(6)});
    double* o = rows.mutable_data();
    for (const auto& d : found) {
        *o++ = d.rect.left(), *o++ = d.rect.top(), *o++ = d.rect.right(), *o++ = d.rect.bottom();
        *o++ = d.detection_confidence, *o++ = double(d.weight_index);
    }
    return rows;
}

}  // namespace anthropo
