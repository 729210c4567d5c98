package ciosidecar

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// idScanner reads the members userId and anonymousId of a JSON object, and of no object within it. Of
// several members with one name, the last counts. It checks the object itself; of nested values, only
// where they end.
type idScanner struct {
	text                []byte
	at                  int
	userID, anonymousID []byte // empty: absent, or neither a non-empty string nor a number
}

// scan reports whether the text is an object.
func (s *idScanner) scan() bool {
	s.skipSpace()
	if !s.take('{') {
		return false
	}
	s.skipSpace()
	if s.take('}') {
		return s.isAtEnd()
	}
	for {
		if !s.member() {
			return false
		}
		s.skipSpace()
		switch {
		case s.take('}'):
			return s.isAtEnd()
		case !s.take(','):
			return false
		}
		s.skipSpace()
	}
}

func (s *idScanner) isAtEnd() bool {
	s.skipSpace()
	return s.at == len(s.text)
}

func (s *idScanner) member() bool {
	name, ok := s.string()
	if !ok {
		return false
	}
	s.skipSpace()
	if !s.take(':') {
		return false
	}
	s.skipSpace()
	var id *[]byte
	switch string(unescape(name)) {
	case "userId":
		id = &s.userID
	case "anonymousId":
		id = &s.anonymousID
	default:
		return s.skipValue()
	}
	begin := s.at
	*id = nil
	switch {
	case begin == len(s.text):
		return false
	case s.text[begin] == '"':
		text, ok := s.string()
		*id = unescape(text)
		return ok
	case s.text[begin] == '-' || isDigit(s.text[begin]):
		if !s.number() {
			return false
		}
		*id = s.text[begin:s.at]
		return true
	}
	return s.skipValue()
}

func (s *idScanner) skipValue() bool {
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"':
		_, ok := s.string()
		return ok
	case '{', '[':
		return s.skipNested()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// skipNested skips an object or a list.
func (s *idScanner) skipNested() bool {
	depth := 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			if _, ok := s.string(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return true
		}
	}
	return false
}

// string returns the contents of a string, still with their escapes.
func (s *idScanner) string() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	for begin := s.at; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[begin : s.at-1], true
		case c < ' ':
			return nil, false
		case c == '\\' && !s.escape():
			return nil, false
		}
	}
	return nil, false
}

// escape checks an escape and moves to its last character.
func (s *idScanner) escape() bool {
	s.at++
	if s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		if s.at+4 >= len(s.text) {
			return false
		}
		for _, c := range s.text[s.at+1 : s.at+5] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
		s.at += 4
		return true
	}
	return false
}

func (s *idScanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *idScanner) digits() bool {
	begin := s.at
	for s.at < len(s.text) && isDigit(s.text[s.at]) {
		s.at++
	}
	return s.at > begin
}

func (s *idScanner) word(word string) bool {
	end := s.at + len(word)
	if end > len(s.text) || string(s.text[s.at:end]) != word {
		return false
	}
	s.at = end
	return true
}

func (s *idScanner) take(c byte) bool {
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *idScanner) skipSpace() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

var simpleEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape returns the contents of a string whose escapes are valid. An unpaired surrogate becomes
// U+FFFD.
func unescape(text []byte) []byte {
	begin := 0
	for begin < len(text) && text[begin] != '\\' {
		begin++
	}
	if begin == len(text) {
		return text
	}
	plain := append([]byte(nil), text[:begin]...)
	for at := begin; at < len(text); at++ {
		if text[at] != '\\' {
			plain = append(plain, text[at])
			continue
		}
		at++
		if text[at] != 'u' {
			c := text[at]
			if simple, ok := simpleEscapes[c]; ok {
				c = simple
			}
			plain = append(plain, c)
			continue
		}
		unit := codeUnit(text[at+1:])
		at += 4
		if utf16.IsSurrogate(unit) && at+6 < len(text) && text[at+1] == '\\' && text[at+2] == 'u' {
			if pair := utf16.DecodeRune(unit, codeUnit(text[at+3:])); pair != utf8.RuneError {
				plain = utf8.AppendRune(plain, pair)
				at += 6
				continue
			}
		}
		plain = utf8.AppendRune(plain, unit)
	}
	return plain
}

// codeUnit returns the code unit of four hexadecimal digits.
func codeUnit(digits []byte) rune {
	unit, _ := strconv.ParseUint(string(digits[:4]), 16, 16)
	return rune(unit)
}
