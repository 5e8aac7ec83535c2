-- Stands before every script, behind the table K of key names.

local FAR = '4102444800'     -- 2100-01-01: RQ's own clean-up must never find a started job expired
local LIVE_KEPT = '10000'    -- entries of the live stream
local ATTEMPTS_KEPT = '20'   -- entries of a job's result stream
local RESULT = {finished = 1, failed = 2, canceled = 3, retried = 4, crashed = 2}   -- rq.results.Result.Type

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function whole(number) return string.format('%.0f', number) end
local function seconds(milliseconds) return string.format('%.3f', milliseconds / 1000) end

-- A moment as RQ writes it. Days to a date: Howard Hinnant, "chrono-compatible low-level date algorithms".
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

local stamp = iso(now)

local function failed(reply) return type(reply) == 'table' and reply.err ~= nil end

-- A key of the wrong kind is moved away whole, counted, and shown by `hookline doctor`; the sweeper rebuilds what it held.
local function set_aside(key)
  redis.call('RENAME', key, K.corrupt .. key .. ':' .. whole(now))
end

-- The server's own troubles end the script; Redis raises them before a script's first write, never behind it.
local TROUBLES = {'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'MASTERDOWN', 'NOPERM', 'NOAUTH'}
local function end_if_troubled(reply)
  for _, trouble in ipairs(TROUBLES) do
    if string.find(reply.err, trouble, 1, true) then error(reply.err, 0) end
  end
end

-- Run a command on a key (its first argument); a key that can't take it is set aside and the command run again.
local function put(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not failed(reply) then return reply end
  end_if_troubled(reply)
  set_aside(key)
  return redis.call(command, key, ...)
end

-- Count in a field of a hash; what stands there and is no number starts again from zero.
local function count(key, field, by)
  local reply = redis.pcall('HINCRBY', key, field, by)
  if not failed(reply) then return reply end
  end_if_troubled(reply)
  if string.find(reply.err, 'WRONGTYPE', 1, true) then set_aside(key) else redis.call('HDEL', key, field) end
  return redis.call('HINCRBY', key, field, by)
end

-- Fields of a hash, or nothing at all where the key is of another kind.
local function fields(key, ...)
  local reply = redis.pcall('HMGET', key, ...)
  if not failed(reply) then return reply end
  end_if_troubled(reply)
  set_aside(key)
  return {}
end

-- Collects members for keys, so that a batch writes each key once.
local function collector(command)
  local lists, order = {}, {}
  return {
    add = function(key, ...)
      local list = lists[key]
      if not list then list = {}; lists[key] = list; order[#order + 1] = key end
      for _, value in ipairs({...}) do list[#list + 1] = value end
    end,
    write = function() for _, key in ipairs(order) do put(command, key, unpack(lists[key])) end end,
  }
end

local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  if fine and type(value) == 'table' then return value end
  return nil
end

local changes = {}
local function tell(change) if change ~= '' then changes[#changes + 1] = change end end
local function publish_changes()
  if #changes > 0 then
    put('XADD', K.live, 'MAXLEN', '~', LIVE_KEPT, '*', 'changes', '[' .. table.concat(changes, ',') .. ']')
  end
end

local function event_of(job) return 'evt_' .. string.sub(job, 5) end

-- A change as watchers see it. A head starts with its source, type and tag, and `"at"` follows them.
local function change_of(job, event, status, queue, head)
  head = head or fields(K.event .. event, 'head')[1] or ''
  local known = string.match(head, '^{(.-),"at":')
  return '{"job_id":' .. cjson.encode(job) .. ',"event_id":' .. cjson.encode(event) .. ',"status":"' .. status ..
    '","queue":' .. cjson.encode(queue) .. (known and ',' .. known or '') .. '}'
end

-- Put one job aside for good: no list holds it any more, `doctor` shows why. Its neighbours never pay.
local function quarantine(job, reason)
  put('HSET', K.quarantine, string.sub(job, 1, 64), cjson.encode({reason = reason, at = stamp}))
  count(K.counts, 'quarantined', 1)
  put('ZREM', K.open, job)
  local known = fields(K.job .. job, 'status', 'origin')
  if known[1] then
    put('HSET', K.job .. job, 'status', 'failed', 'ended_at', stamp, 'lease', '')
    put('ZADD', K.failed .. (known[2] or 'default'), whole(now / 1000 + 30 * 86400), job)
  end
end

-- RQ's record of a job, made anew from the event, which is the truth. Returns the event's id, or nil with the job quarantined.
local function rebuild(job, event)
  event = event and redis.call('EXISTS', K.event .. event) == 1 and event or event_of(job)
  local birth = fields(K.event .. event, 'job:' .. job)[1]
  local born = birth and decoded(string.sub(birth, 23))
  if not born or type(born.queue) ~= 'string' then
    quarantine(job, 'neither its record nor its event can be read')
    return nil
  end
  redis.call('DEL', K.job .. job)
  redis.call('HSET', K.job .. job, 'created_at', stamp, 'enqueued_at', stamp, 'origin', born.queue, 'status', 'queued',
    'timeout', tostring(born.timeout or 180), 'description', 'rebuilt', 'event', event, 'cb', born.callback or '',
    'data', '["worker.entry.run",null,["' .. job .. '"],{}]')
  count(K.counts, 'rebuilt', 1)
  return event
end

-- Keep what became of one attempt, in RQ's result stream. A new stream reserves 4 KiB; a copy of it only what it holds.
local function keep_attempt(job, kind, worker, token, number, started, result, trace, error_json, handler, of)
  local key = K.results .. job
  local entry = {'type', tostring(RESULT[kind] or 1), 'worker_name', worker, 'execution_id', token,
    'execution_started_at', started, 'execution_ended_at', seconds(now), 'number', tostring(number), 'outcome', kind}
  local function with(name, value)
    if value and value ~= '' then entry[#entry + 1] = name; entry[#entry + 1] = value end
  end
  with('return_value', result)
  with('exc_string', trace)
  with('error', error_json)
  with('handler', handler)
  with('of', of)
  if redis.call('EXISTS', key) == 1 then
    put('XADD', key, 'MAXLEN', ATTEMPTS_KEPT, '*', unpack(entry))
  else
    redis.call('DEL', K.scratch)
    redis.call('XADD', K.scratch, '*', unpack(entry))
    redis.call('COPY', K.scratch, key)
    redis.call('DEL', K.scratch)
  end
end

-- The outbox entry of a job that has ended. Its id follows from the job's, so that the same end can't be told twice.
local function queue_callback(job, event, state, round)
  if state ~= 'pending' and state ~= 'blocked' then return end
  local id = 'cb_' .. string.sub(job, 5) .. (round > 1 and '-' .. tostring(round) or '')
  put('HSET', K.callback .. id, 'job', job, 'event', event, 'status', state, 'created_at', whole(now), 'attempts', '0')
  put('ZADD', K.callbacks, whole(now), id)
  if state == 'pending' then
    put('ZADD', K.outbox, whole(now), id)
  else
    put('ZADD', K.callbacks_as .. 'blocked', whole(now), id)
  end
end
