-- Stands before every script. `K.job` and the like are replaced by the names in infra/ledger/keys.py.

local FAR = '4102444800'           -- 2100-01-01: RQ's own clean-up must never find a started job expired
local LIVE_STEP, LIVE_STEPS = 1000, 10   -- the live stream keeps so many times so many changes at least, and one step more at most, about
local ATTEMPTS_KEPT = '20'         -- entries of a job's result stream
local CORRUPT_KEPT = '2592000'     -- seconds that a key which was set aside stays: 30 days
local ACTS_KEPT = '50'             -- what was done to one job by hand
local QUARANTINE_KEPT = 1000       -- entries of the quarantine's list
local WOKEN_AT_ONCE = 1000         -- jobs that one event wakes, at the most
local MARK = '-'                   -- member with score 0 of the sets that walks stand on: without it, the set was lost
local RESULT = {finished = '1', ignored = '1', failed = '2', crashed = '2', canceled = '3', retried = '4'}   -- rq.results.Result.Type
local ENDED = {finished = true, failed = true, canceled = true}

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function whole(number) return string.format('%.0f', number) end
local function seconds(milliseconds) return string.format('%.3f', milliseconds / 1000) end

-- A moment as RQ writes it. Days to a date and back: Howard Hinnant, "chrono-compatible low-level date algorithms".
local function iso(milliseconds)
  local floor = math.floor
  local days = floor(milliseconds / 86400000)
  local rest = milliseconds - days * 86400000
  local z = days + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local day = doy - floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03d000Z', year, month, day,
    floor(rest / 3600000), floor(rest / 60000) % 60, floor(rest / 1000) % 60, rest % 1000)
end

-- The milliseconds of a moment that RQ or we wrote, or nil where there is none that can be read.
local function unix(text)
  local y, m, d, hour, minute, second =
    string.match(text or '', '^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d?%d?%d?)%d*Z$')
  if not y then return nil end
  local year, month = tonumber(y), tonumber(m)
  if month <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local yoe = year - era * 400
  local doy = math.floor((153 * (month > 2 and month - 3 or month + 9) + 2) / 5) + tonumber(d) - 1
  local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
  return ((days * 24 + tonumber(hour)) * 60 + tonumber(minute)) * 60000 + math.floor(tonumber(second) * 1000 + 0.5)
end

local stamp = iso(now)

-- What stands in a record may be anything; these say whether it is what it should be.

local function natural(text, default)
  return text and #text <= 9 and string.find(text, '^%d+$') and tonumber(text) or default
end
local function is_job(id) return #id <= 64 and string.find(id, '^job_%w+$') ~= nil end
local function is_event(id) return #id <= 64 and string.find(id, '^evt_%w+$') ~= nil end
local function is_queue(name) return name and #name > 0 and #name <= 200 and not string.find(name, '%c') end

-- The event that a job's record names, else the one that shares the end of the job's id.
local function event_of(job, named)
  return named and is_event(named) and named or 'evt_' .. string.sub(job, 5)
end

local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  if fine and type(value) == 'table' then return value end
  return nil
end

-- Keys that hold something else than they should.

local function failed(reply) return type(reply) == 'table' and reply.err ~= nil end

-- Whether an error tells of the key. Anything else is the server's own trouble and ends the script: Redis raises those
-- (OOM, READONLY, MISCONF, …) at a script's first write, never behind it.
local function tells_of_key(reply)
  local text = tostring(reply.err)
  return string.find(text, 'WRONGTYPE', 1, true) or string.find(text, 'exhausted', 1, true) or error(text, 0)
end

-- Such a key is moved away whole, for `hookline doctor` to show, and what it held is made anew from the events.
local function set_aside(key)
  local aside = K.corrupt .. key .. ':' .. whole(now)
  redis.call('RENAME', key, aside)
  redis.call('EXPIRE', aside, CORRUPT_KEPT)
  redis.call('SET', K.cursor .. 'rebuild', '0')
end

-- What a key holds, for scripts that change nothing: one of the wrong kind holds nothing, and is left to those that need it.
local function peek(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if failed(reply) then tells_of_key(reply) return false end
  return reply
end

-- Run a command on a key (its first argument); a key that can't take it is set aside and the command run again.
local function put(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not failed(reply) then return reply end
  tells_of_key(reply)
  set_aside(key)
  return redis.call(command, key, ...)
end

-- Count in a field of a hash, and return what it is now; what stands there and is no number starts again from zero.
local function count(key, field, by)
  local reply = redis.pcall('HINCRBY', key, field, by)
  if not failed(reply) then return reply end
  local text = tostring(reply.err)
  if string.find(text, 'not an integer', 1, true) or string.find(text, 'overflow', 1, true) then
    redis.call('HDEL', key, field)
  else
    tells_of_key(reply)
    set_aside(key)
  end
  return redis.call('HINCRBY', key, field, by)
end

-- Fields of a hash; none where the key is of another kind.
local function fields(key, ...) return put('HMGET', key, ...) end

-- Collects members for keys, so that a batch writes each key once.
local function collector(command)
  local lists, order = {}, {}
  return {
    add = function(key, first, second)
      local list = lists[key]
      if not list then list = {}; lists[key] = list; order[#order + 1] = key end
      list[#list + 1] = first
      if second then list[#list + 1] = second end
    end,
    write = function() for _, key in ipairs(order) do put(command, key, unpack(lists[key])) end end,
  }
end

-- Changes, as watchers see them: JSON that is sound whatever the records hold.

local changes = {}
local function tell(change) changes[#changes + 1] = change end

-- However many changes an entry has: of every step the first entry is noted, and what is older than the note of ten steps ago goes.
local function publish_changes()
  if #changes == 0 then return end
  local entry = put('XADD', K.live, '*', 'changes', '[' .. table.concat(changes, ',') .. ']')
  local told = count(K.counts, 'changes', #changes)
  local step = math.floor(told / LIVE_STEP)
  if step == math.floor((told - #changes) / LIVE_STEP) then return end
  local note = 'live:' .. step % LIVE_STEPS
  local oldest = fields(K.counts, note)[1]
  put('HSET', K.counts, note, entry)
  if oldest and string.find(oldest, '^%d+%-%d+$') then put('XTRIM', K.live, 'MINID', '~', oldest) end
end

-- A head starts with its source, its type and maybe a tag, and `"at"` follows them.
local function known_of(head)
  local known = string.match(head or '', '^{(.-),"at":%d')
  local told = known and not string.find(known, '[\128-\255]') and decoded('{' .. known .. '}')
  return told and known, told
end

-- What the index of a job is named by, or nil where the head can't be read.
local function kind_of(head)
  local _, told = known_of(head)
  return told and type(told.source) == 'string' and type(told.type) == 'string' and told.source .. ':' .. told.type or nil
end

local queue_names = {}   -- as JSON
local function change_of(job, event, status, queue, head)
  head = head or fields(K.event .. event, 'head')[1] or ''
  -- The usual head is sound at a glance; whatever else stands there is read.
  local known = string.match(head, '^{("source":"[%w-]+","type":"[%w._:/ -]*"),"at":%d') or known_of(head)
  local name = queue_names[queue]
  if not name then
    name = cjson.encode((string.gsub(queue, '[\128-\255]', '?')))
    queue_names[queue] = name
  end
  return '{"job_id":"' .. job .. '","event_id":"' .. event .. '","status":"' .. status .. '","queue":' .. name ..
    (known and ',' .. known or '') .. '}'
end

-- Jobs that may not run yet. A job with an ordering key stands in that key's line from its acceptance to its end, and only the
-- head of a line may run. A job whose handler has a limit holds one of the limit's places while it runs. Who must wait is
-- parked: RQ's `deferred`, in no queue. Its record's `limit` says for which limit; without one it waits in its line.

-- Have a job wait for its time.
local function schedule(job, queue, due)
  put('HSET', K.job .. job, 'status', 'scheduled', 'due', whole(due), 'lease', '')
  put('ZADD', K.scheduled .. queue, seconds(due), job)
end

-- Jobs that keep their turn go to the front of their queues, in their order: pairs of a queue and a job.
local function push_front(turns)
  for place = #turns, 1, -1 do put('LPUSH', K.queue .. turns[place][1], turns[place][2]) end
end

local function park(job, queue)
  put('HSET', K.job .. job, 'status', 'deferred')
  put('ZADD', K.deferred .. queue, whole(now / 1000), job)
end

-- A parked job goes to the front of its queue, for it has waited longer than what stands there; or waits for its time.
-- Returns whether it was parked.
local function unpark(job)
  local record = fields(K.job .. job, 'status', 'origin', 'event', 'due')
  if record[1] ~= 'deferred' or not is_job(job) then return false end
  local queue, due = is_queue(record[2]) and record[2] or 'default', tonumber(record[4] or '') or 0
  put('ZREM', K.deferred .. queue, job)
  if due > now and due < 1e14 then
    schedule(job, queue, due)
  else
    put('HSET', K.job .. job, 'status', 'queued', 'enqueued_at', stamp)
    put('LPUSH', K.queue .. queue, job)
  end
  return true
end

-- A line's first job that has not ended may run.
local function advance(line)
  while true do
    local job = put('LINDEX', K.line .. line, '0')
    if not job then return end
    local status, limit = unpack(fields(K.job .. job, 'status', 'limit'))
    if ENDED[status] or not put('ZSCORE', K.open, job) then
      put('LPOP', K.line .. line)
    else
      if status == 'deferred' and not limit then unpark(job) end
      return
    end
  end
end

-- Whether others stand before a job in its line. One that is missing there had its place lost: nobody is before it.
local function behind_others(job)
  local line = fields(K.job .. job, 'line')[1]
  if not line then return false end
  if not put('LPOS', K.line .. line, job) then put('LPUSH', K.line .. line, job) end
  return put('LINDEX', K.line .. line, '0') ~= job
end

-- A job has ended: whoever stands behind it in its line is next.
local function leave_line(job, line)
  if not line then return end
  put('LREM', K.line .. line, '1', job)
  advance(line)
end

-- Whether a limit has a free place for a job, which it then holds.
local function take_place(job, limit, most)
  if fields(K.limits, limit)[1] ~= most then put('HSET', K.limits, limit, most) end
  if put('SCARD', K.holding .. limit) >= tonumber(most) then return false end
  put('SADD', K.holding .. limit, job)
  put('HSET', K.job .. job, 'limit', limit)
  return true
end

-- As many of those that wait for a place as there are free ones, one at least: who finds none after all is parked again.
local function let_in(limit)
  local free = natural(fields(K.limits, limit)[1], 1) - put('SCARD', K.holding .. limit)
  for _ = 1, math.max(1, free) do
    local job
    repeat job = put('LPOP', K.parked .. limit) until not job or unpark(job)
    if not job then return end
  end
end

-- A job gives back the place that it holds, or was to have.
local function free_place(job, limit)
  if not limit then return end
  put('SREM', K.holding .. limit, job)
  put('HDEL', K.job .. job, 'limit')
  let_in(limit)
end

-- A job waits for no event any more.
local function stop_waiting(job, key)
  if not key then return end
  put('SREM', K.waiting .. key, job)
  put('HDEL', K.job .. job, 'waiting')
end

-- Note who did what to a job, for its timeline.
local function note_act(job, act, by)
  if by == '' then return end
  put('RPUSH', K.acts .. job, cjson.encode({act = act, by = by, at = now}))
  redis.call('LTRIM', K.acts .. job, '-' .. ACTS_KEPT, '-1')
end

-- Records that can't be used.

-- Note that something was put aside. The list is for people and bounded; the counter counts on.
local function note(id, reason)
  if put('HLEN', K.quarantine) < QUARANTINE_KEPT then
    local shown = string.gsub(string.sub(id, 1, 64), '[^%w_-]', '?')
    put('HSET', K.quarantine, shown, cjson.encode({reason = reason, at = stamp}))
  end
  count(K.counts, 'quarantined', 1)
end

-- Put one job aside for good: no list holds it any more, `doctor` shows why. Its neighbours never pay.
local function quarantine(job, reason)
  note(job, reason)
  put('ZREM', K.open, job)
  if not is_job(job) then return end
  local known = fields(K.job .. job, 'status', 'origin', 'event', 'line', 'limit', 'waiting')
  if not known[1] then return end
  local queue = is_queue(known[2]) and known[2] or 'default'
  put('HSET', K.job .. job, 'status', 'failed', 'ended_at', stamp, 'lease', '')
  put('ZADD', K.failed .. queue, whole(now / 1000 + 30 * 86400), job)
  leave_line(job, known[4])
  free_place(job, known[5])
  stop_waiting(job, known[6])
  tell(change_of(job, event_of(job, known[3]), 'failed', queue))
end

-- How a job came into the world, as its event tells it: `queue`, `timeout`, `run_at`, `callback`. Nil where it doesn't.
local function birth_of(event, job)
  local birth = fields(K.event .. event, 'job:' .. job)[1]
  local born = birth and decoded(string.sub(birth, 23))
  if born and type(born.queue) == 'string' and is_queue(born.queue) then return born end
  return nil
end

-- The event of a job whose record does not tell it.
local function home_of(job) return event_of(job, fields(K.replayed, job)[1]) end

-- RQ's record of a job, made anew from the event, which is the truth. Returns the event's id, the queue and when it may
-- run, or nil with the job quarantined.
local function rebuild(job, named)
  local event = event_of(job, named)
  local born = is_job(job) and birth_of(event, job)
  if not born then
    event = home_of(job)
    born = is_job(job) and birth_of(event, job)
  end
  if not born then
    quarantine(job, 'neither its record nor its event can be read')
    return nil
  end
  local known = fields(K.job .. job, 'created_at', 'attempt', 'crashes', 'limit')
  redis.call('DEL', K.job .. job)
  redis.call('HSET', K.job .. job, 'created_at', unix(known[1]) and known[1] or stamp, 'enqueued_at', stamp,
    'origin', born.queue, 'status', 'queued', 'timeout', whole(tonumber(born.timeout) or 180), 'description', 'rebuilt',
    'data', '["worker.entry.run",null,["' .. job .. '"],{}]', 'event', event,
    'attempt', whole(natural(known[2], 0)), 'crashes', whole(natural(known[3], 0)))
  if type(born.line) == 'string' then redis.call('HSET', K.job .. job, 'line', born.line) end
  local round = fields(K.event .. event, 'round:' .. job)[1]
  if round then redis.call('HSET', K.job .. job, 'round', round) end
  free_place(job, known[4])
  count(K.counts, 'rebuilt', 1)
  return event, born.queue, tonumber(born.run_at) or 0
end

-- Keep what became of one attempt, in RQ's result stream, which says by itself who, when and how. A new stream reserves
-- 4 KiB; a copy of one takes only what it holds.
local function keep_attempt(job, kind, worker, number, started, result, trace, error_json, handler, of)
  local entry = {'type', RESULT[kind], 'worker_name', worker, 'execution_started_at', started}
  local function with(name, value)
    if value ~= '' then entry[#entry + 1] = name; entry[#entry + 1] = value end
  end
  with('number', number > 1 and whole(number) or '')
  with('outcome', kind == 'crashed' and kind or '')
  with('return_value', result)
  with('exc_string', trace)
  with('error', error_json)
  with('handler', handler)
  with('of', of)
  redis.call('DEL', K.scratch)
  redis.call('XADD', K.scratch, '*', unpack(entry))
  if redis.call('COPY', K.scratch, K.results .. job) == 0 then
    put('XADD', K.results .. job, 'MAXLEN', ATTEMPTS_KEPT, '*', unpack(entry))
  end
end

local function callback_of(job, round) return 'cb_' .. string.sub(job, 5) .. (round > 1 and '-' .. whole(round) or '') end

-- A change of a callback, as watchers see it.
local function callback_change(id, status)
  return '{"job_id":"job_' .. string.match(id, '^cb_(%w+)') .. '","callback":{"id":"' .. id .. '","status":"' .. status .. '"}}'
end

-- The outbox entry of a job that has ended. Its id follows from the job's, so that the same end can't be told twice.
local function queue_callback(job, state, round)
  if state ~= 'pending' and state ~= 'blocked' then return false end
  local id = callback_of(job, round)
  put('HSET', K.callback .. id, 'status', state, 'created_at', whole(now), 'attempts', '0')
  put('ZADD', K.callbacks, whole(now), id)
  put('ZADD', K.callbacks_as .. state, whole(now), id)
  if state == 'pending' then put('ZADD', K.outbox, whole(now), id) end
  return state == 'pending'
end

-- The status of a callback and what else is asked for; where its record is mangled and its job has ended, the record is
-- made anew. Nil where it is no callback at all.
local function callback_record(id, ...)
  local job = string.match(id, '^cb_%w+%-?%d*$') and #id <= 64 and 'job_' .. string.match(id, '^cb_(%w+)')
  if not job then return nil end
  local record = fields(K.callback .. id, 'status', ...)
  local status = record[1]
  if status == 'pending' or status == 'delivered' or status == 'blocked' or status == 'dead' then return job, record end
  local ended = fields(K.job .. job, 'status')[1]
  if ended ~= 'finished' and ended ~= 'failed' and ended ~= 'canceled' then return nil end
  put('HSET', K.callback .. id, 'status', 'pending', 'created_at', whole(now), 'attempts', '0')
  return job, fields(K.callback .. id, 'status', ...)
end

-- One page of an index, from a cursor that all walkers share: the members behind the last page's score, together with
-- all that have the page's last score. Returns them with their scores, and whether the walk reached its end.
local function page(index, cursor, most, limit)
  local from = redis.pcall('GET', cursor)
  if failed(from) then tells_of_key(from); set_aside(cursor); from = false end
  from = from and string.find(from, '^%d+%.?%d*$') and from or '0'
  local found = put('ZRANGE', index, '(' .. from, limit, 'BYSCORE', 'LIMIT', '0', most, 'WITHSCORES')
  local members, listed = {}, {}
  for place = 1, #found, 2 do
    members[#members + 1] = {found[place], tonumber(found[place + 1])}
    listed[found[place]] = true
  end
  local ended = #members < tonumber(most)
  if not ended then
    local last = found[#found]
    for _, member in ipairs(put('ZRANGE', index, last, last, 'BYSCORE')) do
      if not listed[member] then members[#members + 1] = {member, tonumber(last)} end
    end
  end
  redis.call('SET', cursor, ended and '0' or found[#found])
  return members, ended
end
