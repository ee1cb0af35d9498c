-- Which incident is open is asked by every note: that must not take longer with each note that there is.
CREATE INDEX event_of_type ON event (type, seq);
