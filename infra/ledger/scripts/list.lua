-- list: changes nothing; a page of jobs, of events or of callbacks, newest first, narrowed as was asked for.
-- One script, because to choose the narrowest index and to walk it takes many small looks, each at what the last one showed.
--
-- ARGV  1 'jobs' | 'events' | 'callbacks' · 2 most to find · 3 most to look at
--       4 walk · 5 score · 6 member: where the page before ended, or three times ''
--       then what is wanted, or '' each time: 7 status · 8 queue · 9 source · 10 type · 11 tag · 12 not before · 13 before, in ms
-- Reply {walk, score, member, id, …}: where the next page begins ('' each at the end), and what was found: jobs for events too.
--
-- A walk is one kind of index: `time` has everything, `kind` what is of one source and type, both by creation; `status` what
-- has one status, by when it has it; what waits, by creation. A page goes on in the walk in which the first one began.

local what, most, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local walk, from = ARGV[4], {tonumber(ARGV[5]), ARGV[6]}
local wanted = {status = ARGV[7], queue = ARGV[8], source = ARGV[9], type = ARGV[10], tag = ARGV[11]}
local since, before = tonumber(ARGV[12]), tonumber(ARGV[13])
local PAGE = 100
local MOST_KINDS = 50
local REGISTRIES = {finished = K.finished, failed = K.failed, canceled = K.canceled, scheduled = K.scheduled, started = K.started}

-- Walks and their indices.

local function of_status()
  if wanted.status == '' then return nil end
  if what == 'callbacks' then return {K.callbacks_as .. wanted.status} end
  if wanted.status == 'queued' then return {K.open} end
  if wanted.status == 'ignored' then return {K.ignored} end
  if wanted.queue ~= '' then return {REGISTRIES[wanted.status] .. wanted.queue} end
  local indices = {}
  for _, key in ipairs(peek('SMEMBERS', K.queues) or {}) do
    indices[#indices + 1] = REGISTRIES[wanted.status] .. string.sub(key, #K.queue + 1)
  end
  return indices
end

local function of_kind()
  if what == 'callbacks' or wanted.source .. wanted.type == '' then return nil end
  local indices = {}
  for _, kind in ipairs(peek('SMEMBERS', K.kinds) or {}) do
    local source, type = string.match(kind, '^([^:]*):(.*)$')   -- no source has a colon in its name, a type may have
    if (wanted.source == '' or wanted.source == source) and (wanted.type == '' or wanted.type == type) then
      indices[#indices + 1] = K.jobs_of .. kind
    end
  end
  return #indices <= MOST_KINDS and indices or nil
end

local function by_creation(name) return name ~= 'status' or wanted.status == 'queued' end

local function size(name, indices)
  local count = 0
  for _, index in ipairs(indices) do
    local bounded = by_creation(name) and what ~= 'callbacks'
    count = count + (peek('ZCOUNT', index, bounded and since and whole(since) or '-inf', bounded and before and '(' .. whole(before) or '+inf') or 0)
  end
  return count
end

local function chosen()
  local walks = {time = {what == 'callbacks' and K.callbacks or K.jobs}, kind = of_kind(), status = of_status()}
  if walk ~= '' then return walks[walk] or {} end
  local narrowest
  for _, name in ipairs({'kind', 'status', 'time'}) do
    local many = walks[name] and size(name, walks[name])
    if many and (not narrowest or many < narrowest) then walk, narrowest = name, many end
  end
  return walks[walk]
end

-- Members behind a place, with their scores, the highest first.

local function is_behind(score, member, place)
  return score < place[1] or (score == place[1] and member < place[2])
end

local function behind(index, place)
  if not place[1] then return peek('ZRANGE', index, '0', whole(PAGE - 1), 'REV', 'WITHSCORES') or {} end
  if tonumber(place[2] ~= '' and peek('ZSCORE', index, place[2]) or nil) == place[1] then
    local rank = peek('ZREVRANK', index, place[2])
    return peek('ZRANGE', index, whole(rank + 1), whole(rank + PAGE), 'REV', 'WITHSCORES') or {}
  end
  local score, found = string.format('%.17g', place[1]), {}
  local ties = place[2] ~= '' and peek('ZRANGE', index, score, score, 'BYSCORE', 'REV') or {}
  for _, member in ipairs(ties) do
    if member < place[2] then found[#found + 1] = member; found[#found + 1] = score end
  end
  local older = peek('ZRANGE', index, '(' .. score, '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', whole(PAGE), 'WITHSCORES') or {}
  for _, part in ipairs(older) do found[#found + 1] = part end
  return found
end

-- Gives the members of an index one after the other; `here` is the one that it stands at, nil at the end.
local function reader(index, place)
  local page, at = {}, 1
  local self = {}
  function self.step()
    if at > #page then
      page, at = behind(index, place), 1
      if #page == 0 then self.here = nil return end
    end
    place = {tonumber(page[at + 1]), page[at]}
    at = at + 2
    self.here = place
  end
  self.step()
  return self
end

local function newest_of(readers)
  local first
  for _, each in ipairs(readers) do
    if each.here and (not first or is_behind(first.here[1], first.here[2], each.here)) then first = each end
  end
  return first
end

-- Whether one is wanted.

-- How heads have the words that are asked for, where JSON escapes nothing in them: most heads need no closer look.
local needles = {}
for _, name in ipairs({'source', 'type', 'tag'}) do
  if string.find(wanted[name], '^[%w._: -]+$') then needles[#needles + 1] = '"' .. name .. '":"' .. wanted[name] .. '"' end
end

local function is_of(event)
  if wanted.tag == '' and (walk == 'kind' or wanted.source .. wanted.type == '') then return true end
  local head = peek('HGET', K.event .. event, 'head')
  if not head then return false end
  for _, needle in ipairs(needles) do
    if not string.find(head, needle, 1, true) then return false end
  end
  local known = select(2, known_of(head))
  if not known then return false end
  for _, name in ipairs({'source', 'type', 'tag'}) do
    if wanted[name] ~= '' and wanted[name] ~= known[name] then return false end
  end
  return true
end

local function status_of(record)
  if record[2] == 'ignored' then return 'ignored' end
  return (ENDED[record[1]] or record[1] == 'started' or record[1] == 'scheduled') and record[1] or 'queued'
end

-- An event is listed where its first job is; or, if a status or a queue is asked for, where the newest is, which has it.
local function stands_for(job, event)
  local newest = wanted.status .. wanted.queue ~= ''
  for _, name in ipairs(peek('HKEYS', K.event .. event) or {}) do
    local other = string.match(name, '^job:(.*)$')
    if other and ((newest and other > job) or (not newest and other < job)) then return false end
  end
  return true
end

local over = false   -- nothing further back can be wanted

local function in_time(created, read)
  if not since and not before then return true end
  created = read(created or '')
  return created and (not since or created >= since) and (not before or created < before)
end

local function wants_callback(id)
  local job = 'job_' .. (string.match(id, '^cb_(%w+)') or '')
  local kept = peek('HMGET', K.callback .. id, 'status', 'created_at')
  local record = kept and peek('HMGET', K.job .. job, 'origin', 'event')
  if not record or (wanted.status ~= '' and kept[1] ~= wanted.status) or not in_time(kept[2], tonumber) then return nil end
  if wanted.queue ~= '' and wanted.queue ~= record[1] then return nil end
  return is_of(event_of(job, record[2])) and id
end

local function wants_job(member)
  local job = string.match(member, '^job_%w+')
  local record = job and peek('HMGET', K.job .. job, 'status', 'outcome', 'origin', 'event', 'created_at', 'ended_at')
  if not record then return nil end
  if since and walk == 'status' and ENDED[record[1]] and (unix(record[6]) or since) < since then over = true end
  if wanted.status ~= '' and wanted.status ~= status_of(record) then return nil end
  if wanted.queue ~= '' and wanted.queue ~= record[3] then return nil end
  if not in_time(record[5], unix) then return nil end
  local event = event_of(job, record[4])
  return is_of(event) and (what == 'jobs' or stands_for(job, event)) and job
end

-- The page.

local indices = chosen()
if not from[1] and before and by_creation(walk) then from = {before, ''} end
local readers = {}
for place, index in ipairs(indices) do readers[place] = reader(index, from) end
local wants = what == 'callbacks' and wants_callback or wants_job
local found, reached = {}, nil

while true do
  local each = newest_of(readers)
  if not each or each.here[1] == 0 or over then reached = nil break end
  if since and by_creation(walk) and each.here[1] < since then reached = nil break end
  if room == 0 then break end
  room = room - 1
  local one = wants(each.here[2])
  if one and #found == most then break end
  if one then found[#found + 1] = one end
  reached = each.here
  each.step()
end

if not reached then return {'', '', '', unpack(found)} end
return {walk, string.format('%.17g', reached[1]), reached[2], unpack(found)}
