-- trouble: what is wrong now is compared with what was. What is new begins; what is wrong no more ends, and goes at once where
-- nobody was told of it; what comes back before its end was told goes on.
-- One script, because a trouble has one beginning and one end, however many look.
--
-- ARGV  1 most troubles · 2 how long an end waits to be told, in ms; then for each that there is 3 values:
--       key · id that it gets if it is new · what it is (JSON)
-- Reply {key, '{id} {began} {ended or 0} {1 if its beginning was told} {what it is}', …}

local present, left = {}, {}
local room = tonumber(ARGV[1]) - put('HLEN', K.troubles)

local function of(record)
  return string.match(record or '', '^(%S+) (%d+) (%d+) ([01]) (.*)$')
end

for first = 3, #ARGV, 3 do
  local key, fresh, facts = unpack(ARGV, first, first + 2)
  local record = fields(K.troubles, key)[1]
  local id, began, _, told = of(record)
  present[key] = true
  if not record then room = room - 1 end
  if record or room >= 0 then
    redis.call('HSET', K.troubles, key, table.concat({id or fresh, began or whole(now), '0', told or '0', facts}, ' '))
  end
end

local kept = redis.call('HGETALL', K.troubles)
for place = 1, #kept, 2 do
  local key, record = kept[place], kept[place + 1]
  local id, began, ended, told, facts = of(record)
  if not present[key] then
    if not id or told == '0' or (ended ~= '0' and tonumber(ended) + tonumber(ARGV[2]) < now) then
      redis.call('HDEL', K.troubles, key)
      record = nil
    elseif ended == '0' then
      record = table.concat({id, began, whole(now), told, facts}, ' ')
      redis.call('HSET', K.troubles, key, record)
    end
  end
  if record then
    left[#left + 1] = key
    left[#left + 1] = record
  end
end
return left
