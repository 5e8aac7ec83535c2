-- For wrk: replays signed requests, all of one length, from a file: `-- FILE LENGTH SKIP`. Each is sent once.
-- At the end one line of JSON, for the benchmark to read.

local file, length

function init(args)
  file = assert(io.open(args[1], 'rb'))
  length = tonumber(args[2])
  file:seek('set', tonumber(args[3]) * length)
end

function request()
  return file:read(length) or error('the file holds too few requests')
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p99": %f}\n',
    summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
