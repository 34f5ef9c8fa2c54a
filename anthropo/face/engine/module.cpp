// The module anthropo.face._engine: what Python sees of the engine.

#include <pybind11/pybind11.h>

#include "cover_network.hpp"
#include "detector.hpp"
#include "forest.hpp"
#include "images.hpp"
#include "packed.hpp"
#include "patch_network.hpp"
#include "trainer.hpp"

namespace py = pybind11;
using namespace anthropo;

PYBIND11_MODULE(_engine, m) {
    m.doc() = "Compiled landmarking: dlib's detector and shape predictor, sub-pixel and batched.";
    m.attr("dlib_version") = DLIB_SOURCE_VERSION;  // set by setup.py
#if defined(__SANITIZE_ADDRESS__)
    m.attr("sanitized") = true;
#else
    m.attr("sanitized") = false;
#endif
    m.def("shrink", &shrink, py::arg("image").noconvert(), py::arg("factor"),
          "Grey image of block means, (H // factor, W // factor) uint8.");
    m.def("warp", &warp, py::arg("image").noconvert(), py::arg("matrix"), py::arg("height"), py::arg("width"),
          "Grey chip whose pixel (x, y) is the image at matrix @ (x, y, 1); black outside.");
    m.def("pack_shape_predictor", &pack_shape_predictor, py::arg("dat").noconvert(),
          "The content of a dlib .dat shape predictor, rewritten as one flat block of bytes.");
    m.def("unpack_shape_predictor", &unpack_shape_predictor, py::arg("packed").noconvert(),
          "The content of the .dat file, which dlib reads, of a packed shape predictor.");
    m.def(
        "train_shape_predictor",
        [](const py::list& chips, const py::array& of_chip, const py::array& maps, const py::array& targets,
           const Bytes& known, const py::array& starts, const py::array& mean, std::uint32_t cascades,
           std::uint32_t trees,
           std::uint32_t depth, std::uint32_t features, std::uint32_t candidates, double nu, double lambda,
           double padding, std::uint64_t seed, unsigned threads, const py::object& report) {
            return train_shape_predictor(
                chips, of_chip, maps, targets, known, starts, mean,
                Recipe{cascades, trees, depth, features, candidates, nu, lambda, padding, seed, threads}, report);
        },
        py::arg("chips"), py::arg("of_chip"), py::arg("maps"), py::arg("targets"), py::arg("known").noconvert(),
        py::arg("starts"), py::arg("mean"), py::kw_only(), py::arg("cascades"), py::arg("trees"), py::arg("depth"), py::arg("features"),
        py::arg("candidates"), py::arg("nu"), py::arg("lambda_"), py::arg("padding"), py::arg("seed"),
        py::arg("threads"), py::arg("report"),
        "A packed shape predictor of grey chips with points in boxes; see trainer.hpp.");
    m.def("chip", &chip, py::arg("image").noconvert(), py::arg("unit"), py::arg("box"), py::arg("pad"),
          py::arg("contrast"), "What `align` predicts on: a padded grey chip of the box that `unit` (2, 3) takes to "
          "the image, stretched.");
    m.def("pack_face_detector", &FaceDetector::pack, "dlib's frontal face detector, ready to read back quickly.");
    py::class_<FaceDetector>(m, "FaceDetector")
        .def(py::init<const Bytes&>(), py::arg("packed").noconvert())
        .def("detect", &FaceDetector::detect, py::arg("image").noconvert(), py::arg("threshold") = 0.0,
             py::arg("max_levels") = 1000, "Faces as rows of left, top, right, bottom, score, view.");
    py::class_<ShapePredictor>(m, "ShapePredictor")
        .def(py::init<Bytes>(), py::arg("packed").noconvert())
        .def_property_readonly("points", &ShapePredictor::points)
        .def_property_readonly("mean_shape", &ShapePredictor::mean_shape)
        .def("predict", &ShapePredictor::predict, py::arg("image").noconvert(), py::arg("boxes"),
             "Landmarks (K, P, 2) of K boxes (left, top, right, bottom), sub-pixel.")
        .def("align", &ShapePredictor::align, py::arg("image").noconvert(), py::arg("box"), py::arg("jitter"),
             py::arg("mirror"), py::arg("first_box"), py::arg("chip_box"), py::arg("pad"), py::arg("contrast"),
             "Landmarks (2 K, P, 2) of a detected box on the upright face and its mirror image, and that face.");
    py::class_<PatchNetwork>(m, "PatchNetwork")
        .def(py::init<const py::list&, const py::list&, size_t>(), py::arg("weights"),
             py::arg("biases"), py::arg("patch"))
        .def_property_readonly("points", &PatchNetwork::points)
        .def("predict", &PatchNetwork::predict, py::arg("image").noconvert(), py::arg("maps"),
             "Points (N, P, 2), patch pixels, of N patches seen through maps (N, 2, 3) in a grey image.");
    py::class_<CoverNetwork>(m, "CoverNetwork")
        .def(py::init<const py::list&, const py::list&, size_t, size_t>(), py::arg("weights"), py::arg("biases"),
             py::arg("down"), py::arg("side"))
        .def_property_readonly("map_side", &CoverNetwork::map_side)
        .def("predict", &CoverNetwork::predict, py::arg("picture").noconvert(),
             "Probabilities (M, M) that what lies there is seen, of a picture (side, side, 3).");
}
