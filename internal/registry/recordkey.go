package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// Kind is the kind of an object, as in record keys and messages.
type Kind string

// Kinds of objects.
const (
	KindWorkspace Kind = "workspace"
	KindKey       Kind = "key"
	KindCreator   Kind = "creator"
	KindCampaign  Kind = "campaign"
	KindAgreement Kind = "agreement"
	KindLink      Kind = "link"
	KindCode      Kind = "code"
	KindPlacement Kind = "placement"
	KindEpoch     Kind = "epoch"
)

// installation stands for the workspace in the keys of what belongs to none. No workspace can have this id.
const installation = "~"

// RecordKey is the key of a record of the registry topic: workspace/kind/id/version, parts percent-encoded.
type RecordKey struct {
	Workspace string
	Kind      Kind
	ID        string
	Version   uint32
}

// String returns the key as it is written.
func (k RecordKey) String() string {
	return url.PathEscape(k.Workspace) + "/" + string(k.Kind) + "/" + url.PathEscape(k.ID) + "/" + strconv.FormatUint(uint64(k.Version), 10)
}

var errRecordKey = errors.New("bad registry key")

func parseRecordKey(s string) (RecordKey, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 4 {
		return RecordKey{}, fmt.Errorf("%w: %q has %d parts", errRecordKey, s, len(parts))
	}
	workspace, err1 := url.PathUnescape(parts[0])
	id, err2 := url.PathUnescape(parts[2])
	version, err3 := strconv.ParseUint(parts[3], 10, 32)
	if err := errors.Join(err1, err2, err3); err != nil || version == 0 || workspace == "" || id == "" {
		return RecordKey{}, fmt.Errorf("%w: %q", errRecordKey, s)
	}
	return RecordKey{Workspace: workspace, Kind: Kind(parts[1]), ID: id, Version: uint32(version)}, nil
}

// keyOf returns the key that a record's content belongs under.
func keyOf(workspace string, r *aftertouchv1.RegistryRecord) (RecordKey, error) {
	k := RecordKey{Workspace: workspace}
	switch o := r.Object.(type) {
	case *aftertouchv1.RegistryRecord_Workspace:
		k.Kind, k.ID, k.Version = KindWorkspace, o.Workspace.GetWorkspaceId(), o.Workspace.GetVersion()
	case *aftertouchv1.RegistryRecord_Key:
		k.Kind, k.ID, k.Version = KindKey, o.Key.GetKeyId(), o.Key.GetVersion()
	case *aftertouchv1.RegistryRecord_Creator:
		k.Kind, k.ID, k.Version = KindCreator, o.Creator.GetCreatorId(), o.Creator.GetVersion()
	case *aftertouchv1.RegistryRecord_Campaign:
		k.Kind, k.ID, k.Version = KindCampaign, o.Campaign.GetCampaignId(), o.Campaign.GetVersion()
	case *aftertouchv1.RegistryRecord_Agreement:
		k.Kind, k.ID, k.Version = KindAgreement, o.Agreement.GetAgreementId(), o.Agreement.GetVersion()
	case *aftertouchv1.RegistryRecord_Link:
		k.Kind, k.ID, k.Version = KindLink, o.Link.GetLinkId(), o.Link.GetVersion()
	case *aftertouchv1.RegistryRecord_Code:
		k.Kind, k.ID, k.Version = KindCode, o.Code.GetCode(), o.Code.GetVersion()
	case *aftertouchv1.RegistryRecord_Placement:
		k.Kind, k.ID, k.Version = KindPlacement, o.Placement.GetPlacementId(), o.Placement.GetVersion()
	case *aftertouchv1.RegistryRecord_Epoch:
		k.Kind, k.ID, k.Version = KindEpoch, strconv.FormatUint(uint64(o.Epoch.GetNumber()), 10), 1
	default:
		return k, fmt.Errorf("%w: no object", errRecordKey)
	}
	return k, nil
}
