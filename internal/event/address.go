package event

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// EntityKind is the kind of entity that a record is addressed to.
type EntityKind byte

// The three kinds of entities; the letter stands in addresses.
const (
	Visitor EntityKind = 'v'
	User    EntityKind = 'u'
	Order   EntityKind = 'o'
)

// Prefixes of pseudo-entities. Clients' ids cannot contain "~", so nobody can send to them.
const (
	eventPrefix   = "~e/"
	clickPrefix   = "~c/"
	refusalPrefix = "~r/"
)

// ErrBadAddress reports a record key that is no address.
var ErrBadAddress = errors.New("bad address")

// Address names one entity of one workspace (D1). The zero value names nothing.
type Address struct {
	Workspace string
	Kind      EntityKind
	// ID is the visitor id, the hashed user key, or the order's parts joined by "/".
	ID string
}

// VisitorAddress returns the address of a visitor.
func VisitorAddress(workspace, visitor string) Address { return Address{workspace, Visitor, visitor} }

// UserAddress returns the address of a user.
func UserAddress(workspace, user string) Address { return Address{workspace, User, user} }

// OrderAddress returns the address of an order: action, scope and order id, percent-encoded.
func OrderAddress(workspace, action, scope, orderID string) Address {
	return Address{workspace, Order, url.PathEscape(action) + "/" + url.PathEscape(scope) + "/" + url.PathEscape(orderID)}
}

// EventOrderAddress returns the address of a conversion without an order id.
func EventOrderAddress(workspace, eventID string) Address {
	return Address{workspace, Order, eventPrefix + eventID}
}

// EventVisitorAddress returns the pseudo-visitor of a touch that belongs to nobody.
func EventVisitorAddress(workspace, eventID string) Address {
	return Address{workspace, Visitor, eventPrefix + eventID}
}

// ClickAddress returns the pseudo-visitor of a redirect's click.
func ClickAddress(workspace, clickEventID string) Address {
	return Address{workspace, Visitor, clickPrefix + clickEventID}
}

// RefusalAddress returns the pseudo-visitor that a collector run counts its refusals under (E7).
func RefusalAddress(workspace, runID string) Address {
	return Address{workspace, Visitor, refusalPrefix + runID}
}

// IsPseudo reports whether the address is of a pseudo-visitor, which is never a person.
func (a Address) IsPseudo() bool { return a.Kind == Visitor && strings.HasPrefix(a.ID, "~") }

// IsClick reports whether the address is of a redirect's click.
func (a Address) IsClick() bool { return a.Kind == Visitor && strings.HasPrefix(a.ID, clickPrefix) }

// IsZero reports whether the address names nothing.
func (a Address) IsZero() bool { return a == Address{} }

// Local returns the address within its workspace, such as "v:abc"; empty for the zero address.
func (a Address) Local() string {
	if a.IsZero() {
		return ""
	}
	return string(a.Kind) + ":" + a.ID
}

// Key returns the record key, such as "shop/v:abc".
func (a Address) Key() string { return a.Workspace + "/" + a.Local() }

// ParseKey is the inverse of Key. It fails with ErrBadAddress.
func ParseKey(key string) (Address, error) {
	workspace, local, ok := strings.Cut(key, "/")
	if !ok || workspace == "" {
		return Address{}, fmt.Errorf("%w: %q has no workspace", ErrBadAddress, key)
	}
	return ParseLocal(workspace, local)
}

// ParseLocal is the inverse of Local. It fails with ErrBadAddress.
func ParseLocal(workspace, local string) (Address, error) {
	if len(local) < 3 || local[1] != ':' {
		return Address{}, fmt.Errorf("%w: %q is not kind:id", ErrBadAddress, local)
	}
	switch kind := EntityKind(local[0]); kind {
	case Visitor, User, Order:
		return Address{workspace, kind, local[2:]}, nil
	default:
		return Address{}, fmt.Errorf("%w: unknown kind in %q", ErrBadAddress, local)
	}
}
