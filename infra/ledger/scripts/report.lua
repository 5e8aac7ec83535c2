-- report: what running handlers say: progress (in RQ's `meta` too) and log lines, each a change that watchers see.
-- One script, because only the holder of the lease may speak for a job.
--
-- ARGV  1 log lines kept; then for each report: job id · token · meta (JSON) or '' · number of log lines · the lines (JSON)
-- Reply for each 'done' or 'fenced'.

local kept = tonumber(ARGV[1])
local replies = {}
local first = 2

while first <= #ARGV do
  local job, token, meta, lines = unpack(ARGV, first, first + 3)
  local last = first + 3 + tonumber(lines)
  local record = fields(K.job .. job, 'lease', 'event')
  if record[1] == token then
    local change = '{"job_id":"' .. job .. '","event_id":"' .. event_of(job, record[2]) .. '",'
    if meta ~= '' then
      put('HSET', K.job .. job, 'meta', meta)
      tell(change .. string.sub(meta, 2))
    end
    if last > first + 3 then
      put('RPUSH', K.log .. job, unpack(ARGV, first + 4, last))
      redis.call('LTRIM', K.log .. job, whole(-kept), '-1')
      for place = first + 4, last do tell(change .. '"log":' .. ARGV[place] .. '}') end
    end
    replies[#replies + 1] = 'done'
  else
    replies[#replies + 1] = 'fenced'
  end
  first = last + 1
end
publish_changes()
return replies
