#pragma once
// The coroutine type. A Task runs on the executor (io_context thread) it was started on and resumes there.
// Rules: parameters by value; no capturing lambda as a coroutine; no lock held across co_await; every
// coroutine is either awaited or owned by a TaskGroup (core/async.h) that is joined at shutdown.
#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace assistiv::core {

template <class T = void>
using Task = boost::asio::awaitable<T>;

using AnyExecutor = boost::asio::any_io_executor;

}  // namespace assistiv::core
