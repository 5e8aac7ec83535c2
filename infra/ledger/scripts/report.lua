-- report: what running handlers say: progress (in RQ's `meta` too) and log lines.
-- One script, because only the holder of the lease may speak for a job.
--
-- ARGV  1 log lines kept; then for each report 4 values: job id · token · meta (JSON) or '' · log lines (JSON list) or ''
-- Reply for each 'done' or 'fenced'.

local kept = ARGV[1]
local replies = {}

local function report(job, token, meta, lines)
  local record = fields(K.job .. job, 'lease', 'event', 'origin')
  if record[1] ~= token then return 'fenced' end
  if meta ~= '' then
    put('HSET', K.job .. job, 'meta', meta)
    tell('{"job_id":"' .. job .. '","event_id":"' .. (record[2] or '') .. '",' .. string.sub(meta, 2))
  end
  if lines ~= '' then
    put('RPUSH', K.log .. job, unpack(cjson.decode(lines)))
    put('LTRIM', K.log .. job, -tonumber(kept), -1)
  end
  return 'done'
end

for first = 2, #ARGV, 4 do
  replies[#replies + 1] = report(unpack(ARGV, first, first + 3))
end
publish_changes()
return replies
