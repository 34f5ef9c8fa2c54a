// A few threads that share numbered pieces of work. Who does which piece never matters to the result.

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace anthropo {

class Workers {
public:
    explicit Workers(unsigned threads) {
        for (unsigned i = 1; i < threads; ++i) others_.emplace_back([this] { wait_and_work(); });
    }

    ~Workers() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        begin_.notify_all();
        for (auto& thread : others_) thread.join();
    }

    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // piece(0) to piece(n - 1), which must not throw; returns when all are done
    void run(size_t n, const std::function<void(size_t)>& piece) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            piece_ = &piece, pieces_ = n, next_ = 0, busy_ = others_.size();
            ++round_;
        }
        begin_.notify_all();
        work();
        std::unique_lock<std::mutex> lock(mutex_);
        end_.wait(lock, [this] { return busy_ == 0; });
    }

private:
    void work() {
        for (size_t i = next_++; i < pieces_; i = next_++) (*piece_)(i);
    }

    void wait_and_work() {
        size_t seen = 0;
        for (;;) {
            {
                std::unique_lock<std::mutex> lock(mutex_);
                begin_.wait(lock, [&] { return over_ || round_ != seen; });
                if (over_) return;
                seen = round_;
            }
            work();
            std::lock_guard<std::mutex> lock(mutex_);
            if (--busy_ == 0) end_.notify_one();
        }
    }

    std::vector<std::thread> others_;
    std::mutex mutex_;
    std::condition_variable begin_, end_;
    const std::function<void(size_t)>* piece_ = nullptr;
    size_t pieces_ = 0, busy_ = 0, round_ = 0;
    std::atomic<size_t> next_{0};
    bool over_ = false;
};

}  // namespace anthropo
