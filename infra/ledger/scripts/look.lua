-- look: changes nothing; jobs as they stand, each with its event's story, its attempts, its log and its callback.
-- One script, because a job that was read in two steps may have moved on in between; and it is one command instead of eight.
--
-- ARGV  1 attempts to read · 2 log lines to read · 3 entries of a queue to look for a job in; then for each job 2 values:
--       its id · the round whose callback is wanted, or '' for the present one
-- Reply for each {event id, its record, head, birth, attempts, log lines, position from 1, due in s, the callback's record,
--       when that is due in ms}; whatever is not there, or of the wrong kind, is nil or empty

local attempts, lines, searched = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local function place_in(list, job)
  local place = searched ~= '0' and peek('LPOS', list, job, 'MAXLEN', searched)
  return place and place + 1
end

-- How many go before a job, and itself. One that is parked in a line comes after all that stand before it there; the first
-- of them may still wait in the queue.
local function position(job, status, queue, line, limit)
  if status == 'queued' then return place_in(K.queue .. queue, job) end
  if status ~= 'deferred' then return false end
  if limit then return place_in(K.parked .. limit, job) end
  local place = line and place_in(K.line .. line, job)
  local head = place and place > 1 and peek('LINDEX', K.line .. line, '0')
  if not head then return place end
  local known = peek('HMGET', K.job .. head, 'status', 'origin')
  return place - 1 + (known and known[1] == 'queued' and is_queue(known[2]) and place_in(K.queue .. known[2], head) or 0)
end

local function look(job, round)
  if not is_job(job) then return {} end
  local record = peek('HGETALL', K.job .. job) or {}
  local known = {}
  for place = 1, #record, 2 do known[record[place]] = record[place + 1] end
  local event = event_of(job, known.event)
  local told = peek('HMGET', K.event .. event, 'head', 'job:' .. job) or {false, false}
  local queue, callback = known.origin or '', callback_of(job, natural(round, natural(known.round, 1)))
  local log = lines > 0 and peek('LRANGE', K.log .. job, whole(-lines), '-1')
  return {event, record, told[1], told[2], peek('XREVRANGE', K.results .. job, '+', '-', 'COUNT', attempts), log,
    position(job, known.status, queue, known.line, known.limit) or false,
    known.status == 'scheduled' and peek('ZSCORE', K.scheduled .. queue, job),
    peek('HGETALL', K.callback .. callback), peek('ZSCORE', K.outbox, callback)}
end

local replies = {}
for first = 1, (#ARGV - 3) / 2 do replies[first] = look(ARGV[first * 2 + 2], ARGV[first * 2 + 3]) end
return replies
