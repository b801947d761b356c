-- Every request asks for another number, appended to the address: no thread and no round asks for one twice.
-- The number of the round is the argument.

local threads = 0

function setup(thread)
  thread:set("first", threads * 10000000)
  threads = threads + 1
end

function init(args)
  number = first + tonumber(args[1]) * 100000000
  local head = wrk.format(nil, wrk.path .. "\0")
  local cut = head:find("\0", 1, true)
  before, after = head:sub(1, cut - 1), head:sub(cut + 1)
end

function request()
  number = number + 1
  return before .. number .. after
end
