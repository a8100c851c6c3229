-- wrk -s load.lua URL -- TOKEN FILE: sends the requests of FILE in turn, for ever.
-- A line of FILE is method, path and body, separated by tabs. Prints one line of JSON at the end.

local requests, at = {}, 0

function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(args[2]) do
    local method, path, body = line:match("^(%u+)\t([^\t]*)\t(.*)$")
    requests[#requests + 1] = wrk.format(method, path, nil, body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  io.write(string.format(
    '{"answered": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.errors.status, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
