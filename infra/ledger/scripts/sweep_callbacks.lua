-- sweep callbacks: looks at pending callbacks, a page a turn, and puts back into the outbox what has fallen out of it.
-- One script, because what it reads must still be so when it writes.
--
-- ARGV  1 most callbacks
-- Reply {mended, 1 if the walk reached its end}

local LONGEST_WAIT = 30 * 86400000   -- no schedule waits longer, in ms
local mended = 0

local function look_at(id)
  local due = tonumber(put('ZSCORE', K.outbox, id) or '')
  if due and due <= now + LONGEST_WAIT then return end
  local job, record = callback_record(id)
  if job and record[1] == 'pending' then
    put('ZADD', K.outbox, whole(now), id)
    mended = mended + 1
  else
    put('ZREM', K.callbacks_as .. 'pending', id)
    if not job then note(id, 'neither the callback nor its job can be read') end
  end
end

local callbacks, ended = page(K.callbacks_as .. 'pending', K.cursor .. 'pending', ARGV[1], '+inf')
for _, entry in ipairs(callbacks) do look_at(entry[1]) end
if mended > 0 then redis.call('PUBLISH', K.wake, 'outbox') end
return {mended, ended and 1 or 0}
