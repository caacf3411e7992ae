// package: v1
// file: podresources.proto

/* tslint:disable */
/* eslint-disable */

import * as jspb from "google-protobuf";

export class ListPodResourcesRequest extends jspb.Message { 

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ListPodResourcesRequest.AsObject;
    static toObject(includeInstance: boolean, msg: ListPodResourcesRequest): ListPodResourcesRequest.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ListPodResourcesRequest, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ListPodResourcesRequest;
    static deserializeBinaryFromReader(message: ListPodResourcesRequest, reader: jspb.BinaryReader): ListPodResourcesRequest;
}

export namespace ListPodResourcesRequest {
    export type AsObject = {
    }
}

export class ListPodResourcesResponse extends jspb.Message { 
    clearPodResourcesList(): void;
    getPodResourcesList(): Array<PodResources>;
    setPodResourcesList(value: Array<PodResources>): ListPodResourcesResponse;
    addPodResources(value?: PodResources, index?: number): PodResources;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ListPodResourcesResponse.AsObject;
    static toObject(includeInstance: boolean, msg: ListPodResourcesResponse): ListPodResourcesResponse.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ListPodResourcesResponse, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ListPodResourcesResponse;
    static deserializeBinaryFromReader(message: ListPodResourcesResponse, reader: jspb.BinaryReader): ListPodResourcesResponse;
}

export namespace ListPodResourcesResponse {
    export type AsObject = {
        podResourcesList: Array<PodResources.AsObject>,
    }
}

export class PodResources extends jspb.Message { 
    getName(): string;
    setName(value: string): PodResources;
    getNamespace(): string;
    setNamespace(value: string): PodResources;
    clearContainersList(): void;
    getContainersList(): Array<ContainerResources>;
    setContainersList(value: Array<ContainerResources>): PodResources;
    addContainers(value?: ContainerResources, index?: number): ContainerResources;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): PodResources.AsObject;
    static toObject(includeInstance: boolean, msg: PodResources): PodResources.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: PodResources, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): PodResources;
    static deserializeBinaryFromReader(message: PodResources, reader: jspb.BinaryReader): PodResources;
}

export namespace PodResources {
    export type AsObject = {
        name: string,
        namespace: string,
        containersList: Array<ContainerResources.AsObject>,
    }
}

export class ContainerResources extends jspb.Message { 
    getName(): string;
    setName(value: string): ContainerResources;
    clearDevicesList(): void;
    getDevicesList(): Array<ContainerDevices>;
    setDevicesList(value: Array<ContainerDevices>): ContainerResources;
    addDevices(value?: ContainerDevices, index?: number): ContainerDevices;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerResources.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerResources): ContainerResources.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerResources, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerResources;
    static deserializeBinaryFromReader(message: ContainerResources, reader: jspb.BinaryReader): ContainerResources;
}

export namespace ContainerResources {
    export type AsObject = {
        name: string,
        devicesList: Array<ContainerDevices.AsObject>,
    }
}

export class ContainerDevices extends jspb.Message { 
    getResourceName(): string;
    setResourceName(value: string): ContainerDevices;
    clearDeviceIdsList(): void;
    getDeviceIdsList(): Array<string>;
    setDeviceIdsList(value: Array<string>): ContainerDevices;
    addDeviceIds(value: string, index?: number): string;

    serializeBinary(): Uint8Array;
    toObject(includeInstance?: boolean): ContainerDevices.AsObject;
    static toObject(includeInstance: boolean, msg: ContainerDevices): ContainerDevices.AsObject;
    static extensions: {[key: number]: jspb.ExtensionFieldInfo<jspb.Message>};
    static extensionsBinary: {[key: number]: jspb.ExtensionFieldBinaryInfo<jspb.Message>};
    static serializeBinaryToWriter(message: ContainerDevices, writer: jspb.BinaryWriter): void;
    static deserializeBinary(bytes: Uint8Array): ContainerDevices;
    static deserializeBinaryFromReader(message: ContainerDevices, reader: jspb.BinaryReader): ContainerDevices;
}

export namespace ContainerDevices {
    export type AsObject = {
        resourceName: string,
        deviceIdsList: Array<string>,
    }
}
