{{/* Generated from operator/selftrain/kube/access.py by `make generate`. Do not edit. */}}
{{- define "selftrain.runRules" -}}
- apiGroups:
  - selftrain.dev
  resources:
  - selftrainruns
  verbs:
  - get
  - list
  - watch
- apiGroups:
  - selftrain.dev
  resources:
  - selftrainruns/status
  verbs:
  - update
- apiGroups:
  - selftrain.dev
  resources:
  - selftrainruns/finalizers
  verbs:
  - update
- apiGroups:
  - batch
  resources:
  - jobs
  verbs:
  - get
  - list
  - watch
  - create
  - delete
- apiGroups:
  - ''
  resources:
  - pods
  verbs:
  - list
- apiGroups:
  - ''
  resources:
  - services
  verbs:
  - get
  - create
  - patch
{{- end }}
{{- define "selftrain.leaseRules" -}}
- apiGroups:
  - coordination.k8s.io
  resources:
  - leases
  verbs:
  - get
  - create
  - update
{{- end }}
