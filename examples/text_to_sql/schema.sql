CREATE TABLE station (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  district TEXT NOT NULL,
  docks INTEGER NOT NULL -- places for bikes
);
CREATE TABLE bike (
  id INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  kind TEXT NOT NULL, -- 'city', 'cargo' or 'electric'
  bought_on TEXT NOT NULL, -- dates are YYYY-MM-DD
  price REAL NOT NULL
);
CREATE TABLE member (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  birth_year INTEGER NOT NULL,
  joined_on TEXT NOT NULL,
  plan TEXT NOT NULL, -- 'day', 'month' or 'year'
  email TEXT -- NULL if the member gave none
);
CREATE TABLE ride (
  id INTEGER PRIMARY KEY,
  member_id INTEGER NOT NULL REFERENCES member(id),
  bike_id INTEGER NOT NULL REFERENCES bike(id),
  from_station INTEGER NOT NULL REFERENCES station(id),
  to_station INTEGER REFERENCES station(id), -- NULL while the bike is still out
  ridden_on TEXT NOT NULL,
  minutes INTEGER -- NULL while the bike is still out
);
CREATE TABLE repair (
  id INTEGER PRIMARY KEY,
  bike_id INTEGER NOT NULL REFERENCES bike(id),
  repaired_on TEXT NOT NULL,
  part TEXT NOT NULL,
  cost REAL NOT NULL
);
